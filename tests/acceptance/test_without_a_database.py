"""The store is the truth: packages are listed and verified without a migrated database, and with
the database down."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edms.local.ports import free_port
from tests import nursery
from tests.acceptance.contents import contents
from tests.services import MakeProject, Project

FAILED, MISCONFIGURED, DAMAGED = 1, 2, 5


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a command said with --json."""

    code: int
    told: dict[str, Any]
    stderr: str


def answer(env: Mapping[str, str], *arguments: str | Path) -> Answer:
    done = nursery.manage(*arguments, "--json", env=dict(env), stdin=None, timeout=120)
    assert "Traceback" not in done.stderr
    return Answer(code=done.returncode, told=json.loads(done.stdout), stderr=done.stderr)


@pytest.fixture
def packages(make_project: MakeProject, tmp_path: Path) -> Path:
    """A folder with a good package, a damaged one, and an odd sidecar."""
    project = make_project("sqlite", demo=True)
    project.succeed("create_backup")
    store = tmp_path / "packages"
    shutil.copytree(project.store, store)
    good = next(store.glob("*.tar.zst"))
    sidecar = json.loads(good.with_name(good.name.replace(".tar.zst", ".json")).read_text())
    content = bytearray(good.read_bytes())
    content[len(content) // 2] ^= 1
    (store / "damaged.tar.zst").write_bytes(content)
    (store / "damaged.json").write_text(json.dumps({**sidecar, "name": "damaged.tar.zst"}))
    (store / "odd.json").write_text(json.dumps({**sidecar, "name": "odd.tar.zst", "size": 10**31}))
    return store


@pytest.fixture(params=["not migrated", "down", "no such folder"])
def env(request: pytest.FixtureRequest, tmp_path: Path, packages: Path) -> dict[str, str]:
    """The environment of an EDMS without a database that could be used."""
    urls = {
        "not migrated": f"sqlite:///{tmp_path}/empty.sqlite3",
        "down": f"postgres://nobody:x@127.0.0.1:{free_port()}/nothing",
        "no such folder": f"sqlite:///{tmp_path}/nowhere/empty.sqlite3",
    }
    return {
        "DATABASE_URL": urls[request.param],
        "BACKUP_STORE": str(packages),
        "BACKUP_WORKSPACE": str(tmp_path / "workspace"),
        "MEDIA_ROOT": str(tmp_path / "media"),
    }


def test_packages_are_listed_and_verified_without_a_database(
    env: dict[str, str], packages: Path, tmp_path: Path
) -> None:
    good = next(packages.glob("edms-*.tar.zst"))

    listed = answer(env, "list_packages")

    assert listed.code == 0
    assert {package["name"] for package in listed.told["packages"]} == {
        good.name,
        "damaged.tar.zst",
    }
    (odd,) = listed.told["broken"]
    assert (odd["store"], odd["file"], odd["kind"]) == ("backups", "odd.json", "PackageDamaged")
    assert "'size' of odd.json" in odd["what"]
    assert listed.told["recorded"] is False
    (warning,) = listed.told["warnings"]
    assert warning.startswith("not recorded in the database's index: ")

    for name in (good.name, good):
        verified = answer(env, "verify_package", name)
        assert (verified.code, verified.told["ok"]) == (0, True), verified
        assert (verified.told["run"], verified.told["recorded"]) == (None, False)
        assert verified.told["counts"]["documents.document"]["expected"] == 5
        assert "not recorded in the ledger" in verified.told["warnings"][-1]

    refused = answer(env, "verify_package", "damaged.tar.zst")
    assert (refused.code, refused.told["errors"][0]["kind"]) == (DAMAGED, "PackageDamaged")
    assert list((tmp_path / "workspace").glob("*")) == []


def test_the_stores_alone_are_judged_without_a_database(
    env: dict[str, str], packages: Path
) -> None:
    good = next(packages.glob("edms-*.tar.zst"))

    asked = answer(env, "backup_status")

    assert (asked.code, asked.told["status"], asked.told["exit_code"]) == (1, "warning", 1)
    assert (asked.told["ok"], asked.told["recorded"]) == (False, False)
    found = {reason["reason"]: reason["what"] for reason in asked.told["reasons"]}
    assert set(found) == {"never_proven", "sidecar_broken", "not_asked"}
    assert "not recorded" in found["not_asked"]
    (point,) = asked.told["recovery_points"]
    assert point["last_good"]["name"] in (good.name, "damaged.tar.zst")

    for path in [*packages.iterdir()]:
        path.unlink()
    assert answer(env, "backup_status").code == 2


def test_text_says_what_is_broken_and_what_was_not_recorded(
    env: dict[str, str], packages: Path
) -> None:
    listed = nursery.manage("list_packages", env=env, stdin=None, timeout=120)
    verified = nursery.manage("verify_package", "damaged", env=env, stdin=None, timeout=120)

    assert listed.returncode == 0, listed.stderr
    assert "Broken, not to be counted on:\n  backups: 'size' of odd.json" in listed.stdout
    assert "Warning: not recorded" in listed.stdout
    assert verified.returncode == DAMAGED
    assert "damaged.tar.zst" in verified.stderr


def test_a_dry_run_shows_what_the_package_holds_and_fails_as_the_restore_would(
    env: dict[str, str], packages: Path, tmp_path: Path
) -> None:
    good = next(packages.glob("edms-*.tar.zst")).name

    told = answer(env, "restore_from_package", good, "--dry-run")
    restored = answer(env, "restore_from_package", good, "--confirm")

    assert told.told["ok"] is False
    assert told.told["plan"]["models"]["documents.document"] == {
        "now": None,
        "then": 5,
        "equal": None,
    }
    assert told.told["plan"]["package"] == good
    assert told.told["plan"]["left_as_they_are"] is None
    assert (told.code, told.told["errors"]) == (restored.code, restored.told["errors"])
    assert told.code in (FAILED, MISCONFIGURED)
    assert "the package is whole and can be opened" in told.stderr
    assert "is not known" in told.stderr
    assert list((tmp_path / "workspace").glob("*")) == []
    assert list(tmp_path.glob("**/empty.sqlite3")) == [], "none was made where the path leads"

    damaged = answer(env, "restore_from_package", "damaged.tar.zst", "--dry-run")
    assert (damaged.code, damaged.told["errors"][0]["kind"]) == (DAMAGED, "PackageDamaged")


def test_a_dry_run_without_a_name_takes_the_newest_by_what_the_stores_know(
    env: dict[str, str], packages: Path, tmp_path: Path
) -> None:
    good = next(packages.glob("edms-*.tar.zst")).name
    for path in packages.glob("damaged*"):
        path.unlink()

    told = answer(env, "restore_from_package", "--dry-run")

    assert told.told["plan"]["package"] == good
    assert told.told["plan"]["models"]["documents.document"]["then"] == 5
    assert good in told.told["plan"]["chosen"]
    assert "the ledger's verdicts" in told.told["plan"]["chosen"]
    assert told.told["ok"] is False
    assert told.code in (FAILED, MISCONFIGURED)
    assert list(tmp_path.glob("**/empty.sqlite3")) == [], "none was made where the path leads"

    for path in packages.iterdir():
        path.unlink()
    none = answer(env, "restore_from_package", "--dry-run")
    assert none.told["errors"][0]["kind"] == "PackageNotFound"


def test_a_drill_says_that_the_database_is_what_is_missing(env: dict[str, str]) -> None:
    told = answer(env, "drill_restore").told["errors"][0]

    assert told["kind"] in ("DatabaseUnavailable", "Misconfigured", "Permanent")
    assert "database" in told["what"]


def test_on_an_empty_server_two_commands_lead_to_a_proven_restore(
    fresh_postgres_database: Callable[[], str], make_project: MakeProject, tmp_path: Path
) -> None:
    """The database server is new, and so is all else but code and store."""
    lost = make_project("postgres", demo=True)
    lost.succeed("create_backup")
    before = contents(lost)
    (package,) = lost.json("list_packages")["packages"]
    new = Project(
        engine="postgres",
        folder=tmp_path / "new",
        database_url=fresh_postgres_database(),
        variables={"BACKUP_STORE": str(lost.store)},
    )
    new.folder.mkdir()

    for command in (
        ("drill_restore", package["name"]),
        ("restore_from_package", package["name"], "--confirm"),
        ("restore_from_package", package["name"], "--dry-run"),
    ):
        refused = new.manage(*command)
        assert refused.returncode == MISCONFIGURED, refused.stderr
        assert "the database lacks a table" in refused.stderr
        assert "`manage.py migrate` makes the tables" in refused.stderr
    (line,) = (line for line in refused.stdout.splitlines() if "documents.document " in line)
    assert line.split()[1:] == ["–", "5"]
    assert "Nothing was changed." in refused.stdout

    new.succeed("migrate", "--no-input")
    restored = new.json("restore_from_package", "--confirm")

    assert (restored["ok"], restored["package"]) == (True, package["name"])
    assert contents(new) == before
    assert set(restored["digests_equal"].values()) == {True}
