"""The selection: the models that options name, and their closure."""

import pytest
from django.apps import apps
from pytest_django import Settings

from backup_tasks.errors import DoesNotFit, Misconfigured
from backup_tasks.rows.scope import CONTROL_APPS, Scope, label
from backup_tasks.rows.selection import ModelFilter, Selection, refuse_dependent, selection_of

CONTROL = "a control table"


@pytest.fixture
def whole() -> Scope:
    """All models of the EDMS, without asking a database."""
    every = apps.get_models(include_auto_created=True)
    return Scope(
        included=tuple(m for m in every if m._meta.app_label not in CONTROL_APPS),
        excluded=tuple((label(m), CONTROL) for m in every if m._meta.app_label in CONTROL_APPS),
    )


def selected(whole: Scope, *include: str, exclude: tuple[str, ...] = ()) -> Selection:
    return selection_of(whole, ModelFilter(include=include, exclude=exclude))


def labels(found: Selection) -> set[str]:
    return {label(model) for model in found.scope.included}


def test_a_model_brings_what_its_foreign_keys_refer_to_and_says_why(whole: Scope) -> None:
    found = selected(whole, "workflows.AllowedTransition")

    assert labels(found) == {
        "workflows.allowedtransition",
        "workflows.workflowtype",
        "workflows.documentstate",
    }
    assert found.added["workflows.workflowtype"] == (
        "workflows.allowedtransition.workflow_type refers to workflows.workflowtype"
    )


def test_the_tables_of_many_to_many_fields_and_content_types_come_along(whole: Scope) -> None:
    found = selected(whole, "auth.group")

    assert labels(found) == {
        *("auth.group", "auth.group_permissions", "auth.permission"),
        "contenttypes.contenttype",
    }
    assert "auth.group_permissions" not in found.added  # the name of the model means it too


def test_both_halves_of_an_inherited_object_come_along(whole: Scope) -> None:
    parents = selected(whole, "documents.externaldocument")
    children = selected(whole, "documents.document")

    assert parents.added["documents.document"] == (
        "documents.externaldocument extends documents.document"
    )
    assert "documents.externaldocument" in children.added


@pytest.mark.parametrize("half", ["documents.document", "documents.externaldocument"])
def test_one_half_of_an_inherited_object_can_not_be_left_out(whole: Scope, half: str) -> None:
    with pytest.raises(DoesNotFit, match="halves of the same objects") as refused:
        selected(whole, exclude=(half,))
    assert half in refused.value.hint


def test_what_is_excluded_stays_out_although_it_is_needed(whole: Scope) -> None:
    found = selected(whole, "documents", exclude=("users", "workflows"))

    assert not [name for name in labels(found) if name.startswith(("users.", "workflows."))]
    assert labels(found) >= {"documents.document", "documents.document_tags"}


def test_every_model_is_included_or_excluded_with_the_reason(whole: Scope) -> None:
    found = selected(whole, "notices", exclude=("documents",))

    reasons = dict(found.scope.excluded)
    assert {*labels(found), *reasons} == {
        *map(label, whole.included),
        *(name for name, _ in whole.excluded),
    }
    assert reasons["documents.document"] == "left out by --exclude"
    assert reasons["audit.auditentry"] == "left out by --include"
    assert reasons["backup_tasks.run"] == CONTROL


def test_a_package_without_rows_that_others_need_is_refused_naming_each_field(
    whole: Scope,
) -> None:
    with pytest.raises(DoesNotFit) as refused:
        refuse_dependent(selected(whole, "documents", exclude=("users",)), whole)
    assert "documents.document.author (users.user)" in refused.value.what
    assert "documents.document.reviewer" not in refused.value.what  # it may be empty


def test_a_package_without_rows_that_nobody_must_refer_to_is_not_refused(whole: Scope) -> None:
    refuse_dependent(selected(whole, exclude=("notices", "documents.comment")), whole)


def test_a_name_that_means_nothing_is_refused(whole: Scope) -> None:
    with pytest.raises(Misconfigured, match=r"--include documents\.documnet"):
        selected(whole, "documents.documnet")


def test_a_name_that_can_not_be_chosen_is_refused_with_the_reason(whole: Scope) -> None:
    with pytest.raises(Misconfigured, match=f"backup_tasks.* is {CONTROL}"):
        selected(whole, "backup_tasks")


def test_nothing_left_is_refused(whole: Scope) -> None:
    with pytest.raises(Misconfigured, match="leave no model"):
        selected(whole, "notices", exclude=("notices",))


def test_what_a_key_column_holds_the_keys_of_comes_along(whole: Scope, settings: Settings) -> None:
    columns = {"workflows.DocumentState.name": "documents.Tag"}
    settings.BACKUP = {**settings.BACKUP, "KEY_COLUMNS": columns}

    found = selected(whole, "workflows.documentstate")

    assert found.added["documents.tag"] == (
        "workflows.documentstate.name holds primary keys of documents.tag"
    )


def test_a_restore_leaves_out_what_is_only_referred_to(whole: Scope) -> None:
    asked = ModelFilter(include=("documents.externaldocument", "auth.group"))

    found = selection_of(whole, asked, with_referred=False)

    assert {"documents.document", "documents.document_tags"} <= labels(found)
    assert found.referred["users.user"] == "documents.document.author refers to users.user"
    assert found.referred["auth.permission"] == (
        "auth.group_permissions.permission refers to auth.permission"
    )
    assert not labels(found) & set(found.referred)
    assert selection_of(whole, asked).referred == {}
