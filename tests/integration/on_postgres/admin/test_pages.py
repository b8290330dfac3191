"""The tests of tests/unit/admin/test_pages.py, on PostgreSQL."""

from tests.unit.admin.test_pages import *  # noqa: F403
