"""The fixtures of tests/unit/runs."""

from tests.unit.runs.conftest import *  # noqa: F403
