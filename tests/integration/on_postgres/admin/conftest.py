"""The fixtures of tests/unit/admin."""

from tests.unit.admin.conftest import *  # noqa: F403
