"""Notices: what the EDMS tells people on their dashboard."""
