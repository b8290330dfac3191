"""What can't be printed, as in the name of a file, is shown and kept as an escape."""

from __future__ import annotations

import json

import pytest

from backup_tasks import ledger
from backup_tasks.errors import PackageDamaged, SourceChanged
from backup_tasks.package.manifest import Manifest
from tests.unit.package.content import ROWS, manifest_of, model_entry
from tests.unit.package.test_bounds import manifest_with
from tests.unit.runs.conftest import StartRun, again

NAME = "default:\udcff\0\x1b[2J"
SHOWN = r"default:\xff\x00\x1b[2J"


def test_an_error_about_a_name_that_is_no_text_is_kept_by_every_database(
    start_run: StartRun,
) -> None:
    """PostgreSQL takes neither NUL nor half a character: a run that failed stayed running."""
    run = start_run()

    ledger.fail_run(run.pk, SourceChanged(f"{NAME} changed", obj=NAME, hint="Look."))

    kept = again(run).error
    assert kept is not None
    assert (kept["object"], kept["what"]) == (SHOWN, f"{SHOWN} changed")


def test_an_error_can_be_printed_but_keeps_its_lines() -> None:
    error = SourceChanged(f"one\ntwo {NAME}", obj=NAME)

    assert str(error) == f"one\ntwo {SHOWN}"
    str(error).encode()
    json.dumps(error.record(), ensure_ascii=False).encode()


def test_the_warnings_of_a_manifest_are_told_so_that_they_can_be_kept() -> None:
    manifest = Manifest.from_json(manifest_with(warnings=[NAME, "two\nlines"]))

    assert manifest.warnings == (NAME, "two\nlines")
    assert manifest.told == [SHOWN, "two\nlines"]


@pytest.mark.parametrize("label", ["a.b\0", "a.\ud800", "a.b\n", "a." + "b" * 200])
def test_a_model_whose_label_no_database_could_keep_is_damage(label: str) -> None:
    models = json.loads(manifest_of([model_entry(1, "a.b", ROWS["users.user"])]).to_json())
    models["models"][0]["label"] = label

    with pytest.raises(PackageDamaged, match="'label'"):
        Manifest.from_json(manifest_with(models=models["models"]))
