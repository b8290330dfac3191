"""Limits of the light that make no sense are named."""

from datetime import timedelta
from typing import Any

import pytest

from tests.unit.checks.fired import Fired


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WARN_AFTER", 30),
        ("WARN_AFTER", timedelta(days=3)),  # longer than CRITICAL_AFTER
        ("CRITICAL_AFTER", timedelta(0)),
        ("PROOF_WITHIN", None),
    ],
)
def test_a_limit_that_makes_no_sense_is_named(fired: Fired, name: str, value: Any) -> None:
    assert name in fired("E002", **{name: value}).msg
