"""Tests of tests/unit/evidence/test_audit.py to which the database matters, on PostgreSQL."""

import pytest

from tests.unit.evidence.test_audit import (
    test_it_survives_a_restore_of_a_package_that_is_older,
    test_many_at_once_make_one_chain,
)

__all__ = [
    "test_it_survives_a_restore_of_a_package_that_is_older",
    "test_many_at_once_make_one_chain",
]

pytestmark = pytest.mark.usefixtures("on_project")
