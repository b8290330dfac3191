"""The tests of tests/unit/runs/test_claims.py, on PostgreSQL."""

from tests.unit.runs.test_claims import *  # noqa: F403
