"""The tests of tests/unit/admin/test_addresses.py, on PostgreSQL."""

from tests.unit.admin.test_addresses import *  # noqa: F403
