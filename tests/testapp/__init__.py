"""Models that real projects have and that backups stumble over. Installed by tests only, see
`tests/unit/rows/conftest.py`; its tables are made without migrations."""
