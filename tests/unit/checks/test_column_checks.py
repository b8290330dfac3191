"""The checks of settings that name columns."""

from collections.abc import Sequence

import pytest

from tests.unit.checks.fired import Fired


@pytest.mark.parametrize(
    "groups",
    [
        {"documents.nothing": ["title"]},
        {"admin.logentry": ["user", "no_such_field"]},
    ],
)
def test_a_column_group_of_an_unknown_model_or_field_is_named(
    fired: Fired, groups: dict[str, Sequence[str]]
) -> None:
    message = fired("E005", COLUMN_GROUPS=groups).msg
    assert "COLUMN_GROUPS" in message
    assert next(iter(groups)) in message


@pytest.mark.parametrize(
    "columns",
    [
        {"documents.nothing.title": "documents.Document"},
        {"admin.logentry.no_such_field": "documents.Document"},
        {"admin.logentry.object_id": "documents.Nothing"},
        {"admin.logentry.object_id": "no_such_field"},
    ],
)
def test_a_key_column_of_an_unknown_model_or_field_is_named(
    fired: Fired, columns: dict[str, str]
) -> None:
    message = fired("E005", KEY_COLUMNS=columns).msg
    assert "KEY_COLUMNS" in message
    assert next(iter(columns)).rpartition(".")[0] in message.lower()


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("COLUMN_GROUPS", {"admin.LogEntry": 5}),
        ("COLUMN_GROUPS", {"admin.LogEntry": "user"}),
        ("COLUMN_GROUPS", {5: ["user"]}),
        ("KEY_COLUMNS", {5: "users.User"}),
    ],
)
def test_a_value_of_the_wrong_kind_is_an_error_that_names_the_setting(
    fired: Fired, setting: str, value: object
) -> None:
    assert setting in fired("E002", **{setting: value}).msg
