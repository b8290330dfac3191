"""The tests of tests/unit/edms/test_search.py, on PostgreSQL."""

from tests.unit.edms.test_search import *  # noqa: F403
