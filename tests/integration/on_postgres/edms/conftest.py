"""The fixtures of tests/unit/edms, on PostgreSQL."""

from tests.unit.edms.conftest import *  # noqa: F403
