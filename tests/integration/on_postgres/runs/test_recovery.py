"""The tests of tests/unit/runs/test_recovery.py, on PostgreSQL."""

from tests.unit.runs.test_recovery import *  # noqa: F403
