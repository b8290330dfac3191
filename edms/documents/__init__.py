"""Controlled documents, their versions and their files."""
