"""Packages of format 1 are restored for ever: every awkward row, on the database that it came from
and on another one."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pytest_django import DjangoDbBlocker

from tests.integration.rows.conftest import ROUTES
from tests.integration.rows.transfer import transfer_rows
from tests.services import Project

KEPT = Path(__file__).parent / "data"


@pytest.mark.parametrize("route", ROUTES)
def test_every_row_of_a_kept_package_comes_back(
    route: str,
    zoos: Callable[[str], Project],
    awkward_project: Callable[..., Project],
    tmp_path: Path,
    django_db_blocker: DjangoDbBlocker,
) -> None:
    source, _, target = route.partition(" → ")
    package = KEPT / f"zoo-of-format-1-{source}.tar.zst"
    with django_db_blocker.unblock():
        restored = transfer_rows(
            zoos(source), awkward_project(target, populated=False), tmp_path, kept=package
        )

    assert restored.manifest.format == 1
    equal = {
        label: figures["digest_equal"]
        for label, figures in restored.report["models"].items()
        if label.startswith("testapp.")
    }
    assert len(equal) > 40
    assert set(equal.values()) == {True}
    if source == target:
        theirs = {"testapp.foreign"}  # of another database: in no package
        assert {k: v for k, v in restored.after.items() if k not in theirs} == {
            k: v for k, v in restored.before.items() if k not in theirs
        }
