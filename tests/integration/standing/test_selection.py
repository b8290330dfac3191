"""Which package is the newest, the last good and the last proven one."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from pytest_django import Settings

from backup_tasks.errors import PackageNotFound
from backup_tasks.models import Installation, Run
from backup_tasks.storage import catalogue, installation, last_good
from tests.integration.standing.conftest import Change, damage, fails, put, run_here
from tests.services import Project
from tests.unit.runs.test_commands import run_command

IN_A_YEAR = datetime.now(UTC) + timedelta(days=400)


def later() -> datetime:
    """Later than the package, which is made while the test runs."""
    return datetime.now(UTC) + timedelta(minutes=5)


@pytest.fixture
def package(on_project: Project) -> str:
    """A package that counts."""
    return run_here("backup").package


def listed() -> dict[str, Any]:
    code, out, _ = run_command("list_packages", "--json")
    assert code == 0
    answer: dict[str, Any] = json.loads(out)
    return answer


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"project": "shop"}, "it is of project 'shop'"),
        ({"label": "safety"}, "its label is 'safety'"),
        ({"type": "files"}, "it is of type files"),
        ({"type": "database"}, "it is of type database"),
        ({"type": "partial"}, "it is of type partial"),
        ({"created_at": IN_A_YEAR}, "it is dated in the future"),
        ({"installation": "0" * 16}, "installation 0000000000000000 made it"),
        ({"incomplete": "storage default: 20 of 20 files"}, "it is incomplete: storage default"),
    ],
)
def test_the_newest_is_of_this_system_full_and_unlabelled_and_the_choice_is_said(
    package: str, on_project: Project, changes: dict[str, Any], why: str
) -> None:
    odd = put(on_project, package, "edms-odd", **{"created_at": later(), **changes})

    choice = last_good.find("")

    assert choice.sidecar.name == package
    assert f"the newest full package of project project: {package}" in choice.why
    assert f"{odd} ({why}" in choice.why


def test_the_newest_is_that_of_the_latest_moment_not_of_the_greatest_text(
    package: str, on_project: Project
) -> None:
    moment = later().replace(microsecond=0)
    put(on_project, package, "edms-whole", created_at=moment)
    newest = put(on_project, package, "edms-later", created_at=moment + timedelta(microseconds=1))

    assert last_good.find("").sidecar.name == newest


def test_the_choice_of_a_drill_is_said_and_recorded(package: str, on_project: Project) -> None:
    put(on_project, package, "edms-odd", label="safety", created_at=later())

    code, out, _ = run_command("drill_restore", "--json")

    told = json.loads(out)
    assert code == 0
    assert told["package"] == package
    assert package in told["chosen"]
    assert Run.objects.get(kind="drill").report["chosen"] == told["chosen"]
    assert listed()["last_proven"]["name"] == package


def test_a_label_of_regular_backups_counts_as_none(
    package: str, on_project: Project, change: Change
) -> None:
    nightly = put(on_project, package, "edms-nightly", label="nightly", created_at=later())
    assert listed()["last_good"]["name"] == package

    change(REGULAR_LABELS=["nightly"])

    assert listed()["last_good"]["name"] == nightly


def test_a_package_that_failed_is_not_the_newest_until_it_passes(
    package: str, on_project: Project
) -> None:
    second = run_here("backup").package
    mend = damage(on_project, second)
    run = fails("verify", package=second)

    answer = listed()
    failed = next(each for each in answer["packages"] if each["name"] == second)
    assert answer["last_good"]["name"] == package
    assert failed["standing"] == "FAILED"
    assert failed["failure"]["run"] == run.pk
    assert run_here("drill").package == package
    text = run_command("list_packages")[1]
    assert f"✗ {second}: it failed a verification" in text
    assert f"Last good backup: {package}" in text

    mend()
    run_here("verify", package=second)
    assert listed()["last_good"]["name"] == second
    assert listed()["last_proven"]["name"] == package


def test_a_package_that_is_gone_or_outside_the_store_is_neither_good_nor_proven(
    package: str, on_project: Project
) -> None:
    run_here("drill")
    run_here("backup", type="files", output=str(on_project.folder / "elsewhere.tar.zst"))
    for path in on_project.store.glob(f"{package.split('.')[0]}*"):
        path.unlink()

    answer = listed()

    assert (answer["last_good"], answer["last_proven"]) == (None, None)
    assert "Last good backup: none" not in run_command("list_packages")[1]  # there is no package


def test_nothing_suitable_is_an_error_that_says_why(package: str, on_project: Project) -> None:
    damage(on_project, package)
    fails("verify", package=package)

    for command in (["drill_restore"], ["restore_from_package", "--confirm"]):
        code, _, err = run_command(*command)
        assert code == PackageNotFound.exit_code
        assert f"{package} (it failed a verification" in err


def test_a_restore_without_a_name_takes_the_last_good_one_and_says_so(
    package: str, on_project: Project
) -> None:
    code, out, _ = run_command("restore_from_package", "--confirm", "--no-safety-backup")

    assert code == 0
    assert f"Chosen: the newest full package of project project: {package}" in out
    dry = json.loads(run_command("restore_from_package", "--dry-run", "--json")[1])
    assert dry["plan"]["package"] == package
    assert "the newest full package" in dry["plan"]["chosen"]


def test_only_packages_that_a_trusted_key_signed_count(on_project: Project, signing: str) -> None:
    package = run_here("backup").package
    forged = put(on_project, package, "edms-forged", created_at=later())

    run = run_here("drill")

    assert run.package == package
    assert f"{forged} (no trusted key signed it)" in run.report["chosen"]
    standing = {each["name"]: each["standing"] for each in listed()["packages"]}
    assert standing == {package: "proven", forged: "NOT TRUSTED"}


def test_a_system_that_was_set_up_anew_takes_the_packages_of_the_old_one(
    package: str, on_project: Project
) -> None:
    """After a disaster the ledger, and with it the installation's id, is another one."""
    old = installation.this_installation()
    Installation.objects.all().delete()

    run = run_here("drill")

    assert run.package == package
    assert f"made by another installation ({old})" in run.report["chosen"]

    own = run_here("backup").package
    assert listed()["last_good"]["name"] == own
    put(on_project, package, "edms-third", installation="0" * 16, created_at=later())
    assert listed()["last_good"]["name"] == own


def test_between_two_other_installations_nobody_chooses(package: str, on_project: Project) -> None:
    put(on_project, package, "edms-third", installation="0" * 16, created_at=later())
    Installation.objects.all().delete()

    with pytest.raises(PackageNotFound, match="installation 0000000000000000 made it"):
        last_good.find("")


def test_without_a_database_the_stores_alone_tell_what_counts(
    package: str, on_project: Project
) -> None:
    run_here("drill")
    found = catalogue.refresh()

    def refuse(*_: Any) -> None:
        raise AssertionError("the database was asked")

    with connection.execute_wrapper(refuse):
        candidates = last_good.known_to_stores(found)
        good = last_good.newest(candidates, own=())
        proven = last_good.last_proven(candidates, own=())

    assert good is not None
    assert proven is not None
    assert (good.name, proven.name) == (package, package)


def test_a_drill_takes_the_newest_package_of_the_store_that_is_named(
    package: str, on_project: Project, settings: Settings, tmp_path: Path
) -> None:
    """The first store is down, and has newer ones."""
    offsite = tmp_path / "offsite"
    offsite.mkdir()
    for file in on_project.store.glob(f"{package.split('.', 1)[0]}.*"):
        shutil.copy(file, offsite)
    put(on_project, package, "edms-newer", created_at=later())
    backend = "django.core.files.storage.FileSystemStorage"
    added = {"offsite": {"BACKEND": backend, "OPTIONS": {"location": str(offsite)}}}
    settings.STORAGES = {**settings.STORAGES, **added}
    settings.BACKUP = {**settings.BACKUP, "STORES": ["backups", "offsite"]}
    on_project.store.rename(tmp_path / "away")
    on_project.store.write_bytes(b"")

    drill = run_here("drill", store="offsite")

    assert drill.package == package
    assert drill.steps.get(name="fetch").result["chosen"].endswith(f"{package} (in store offsite)")
