"""What tests/unit shows on SQLite, on PostgreSQL: locks, types, errors and transactions differ."""

import pytest


@pytest.fixture
def engine() -> str:
    """The database that is a server."""
    return "postgres"
