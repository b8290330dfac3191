"""Runs an EDMS on one machine with nothing installed: services, the demo, a developer's stack."""
