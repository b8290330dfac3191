"""Settings that an administrator changes while the EDMS runs."""
