"""Unit tests need no server. What the database may matter to runs again in tests/integration."""

import pytest


@pytest.fixture
def engine() -> str:
    """The database that is a file."""
    return "sqlite"
