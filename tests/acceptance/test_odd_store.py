"""Whatever lies beside the packages in a store, backups, prunes, drills and restores go on."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.services import MakeProject, Project
from tests.unit.package.test_sidecar_fields import ODD


@pytest.fixture
def project(make_project: MakeProject) -> Project:
    """A project on PostgreSQL, which keeps the least of what is odd, and a package of it."""
    project = make_project("postgres", demo=True)
    project.succeed("create_backup", "--label", "first")
    return project


def spoil(store: Path) -> int:
    """Put what is odd into a store; return how much it is."""
    values = json.loads(next(store.glob("*.json")).read_text())
    for number, (field, value) in enumerate(ODD):
        odd = {**values, "name": f"odd-{number}.tar.zst", field: value}
        (store / f"odd-{number}.json").write_text(json.dumps(odd))
        (store / f"odd-{number}.tar.zst").write_bytes(bytes(values["size"]))
    os.mkfifo(store / "pipe.json")
    Path(os.fsdecode(bytes(store) + b"/\xff\x1b.json")).write_bytes(b"{}")
    (store / "circle.json").symlink_to("circle.json")
    return len(ODD) + 3


def test_nothing_odd_in_a_store_stops_anybody(project: Project) -> None:
    package = next(project.store.glob("*.tar.zst")).name
    odd = spoil(project.store)

    listed = project.json("list_packages")
    assert (listed["ok"], listed["recorded"], len(listed["broken"])) == (True, True, odd)
    assert [found["name"] for found in listed["packages"]] == [package]
    text = project.succeed("list_packages").stdout
    assert text.count("\n  backups: ") == odd

    for command in (
        ["create_backup"],
        ["prune_packages"],
        ["verify_package", package],
        ["drill_restore", package],
        ["restore_from_package", package, "--type", "full", "--confirm"],
    ):
        told = project.json(*command)
        assert told["ok"], told["errors"]
    assert project.evaluate('M["backup_tasks.package"].objects.count()') == 3  # with the safety one
