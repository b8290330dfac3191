"""The tests of tests/unit/runs/test_runs.py, on PostgreSQL."""

from tests.unit.runs.test_runs import *  # noqa: F403
