"""What a prune removes from a real store, and what it never does."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from backup_tasks.models import Package, Run
from backup_tasks.runs import chains
from backup_tasks.storage import expiry, installation, verdicts
from tests.integration.standing.conftest import (
    Change,
    damage,
    fails,
    known,
    prune,
    put,
    run_here,
    sidecar_of,
)
from tests.services import Project
from tests.unit.runs.test_commands import run_command


def now() -> datetime:
    """While the test runs: not when its file was read, which may be minutes ago."""
    return datetime.now(UTC)


ONE = {"daily": 1, "weekly": 0, "monthly": 0, "minimum": 0, "share": 1}


@pytest.fixture
def package(on_project: Project) -> str:
    """The newest package."""
    return run_here("backup").package


def older(project: Project, like: str, days: int, **changes: Any) -> str:
    """A package of its own content, so many days older than another."""
    sha256 = f"{days:064x}"
    moment = now() - timedelta(days=days)
    values: dict[str, Any] = {
        "created_at": moment,
        "sha256": sha256,
        "id": f"{days:016x}",
        **changes,
    }
    return put(project, like, f"edms-{days}", **values)


def names(project: Project) -> set[str]:
    return {path.name for path in project.store.glob("*.tar.zst")}


def test_pinned_proven_and_named_packages_are_never_removed_and_each_is_explained(
    package: str, on_project: Project, change: Change
) -> None:
    change(RETENTION=ONE)
    old, pinned, proven, named, by_id = (
        older(on_project, package, days) for days in (9, 8, 7, 6, 5)
    )
    assert run_command("pin_package", pinned, "--reason", "the audit")[0] == 0
    assert known(proven).name == proven
    verdicts.passed(known(proven).sha256, "restore", run="drill-1")
    drill = chains.start("drill", trigger="command", params={"package": named})
    verify = chains.start("verify", trigger="command", params={"package": f"{5:016x}"})

    told, warnings = prune(dry_run=True)

    assert {name: (each["kept"], each["why"]) for name, each in told.items()} == {
        package: (True, "the last good backup"),
        old: (False, "no rule of the retention needs it"),
        pinned: (True, "pinned"),
        proven: (True, "the last proven one"),
        named: (True, f"{drill.pk} needs it"),
        by_id: (True, f"{verify.pk} needs it"),
    }
    assert warnings == []
    assert old in names(on_project)

    assert set(prune()[0]) == {old}
    assert names(on_project) == {package, pinned, proven, named, by_id}
    assert not Package.objects.filter(name=old).exists()

    assert run_command("unpin_package", pinned)[0] == 0
    assert set(prune()[0]) == {pinned}


def test_what_a_run_names_after_it_was_decided_stays_all_the_same(
    package: str, on_project: Project, change: Change
) -> None:
    change(RETENTION=ONE)
    old = older(on_project, package, 9)

    def concurrent_writes() -> None:
        chains.start("drill", trigger="command", params={"package": old})

    told = expiry.expire(run_id="prune-1", dry=False, still_mine=concurrent_writes)

    assert told["removed"] == []
    assert f"{old} stays after all" in told["warnings"][0]
    assert old in names(on_project)


def test_a_backup_keeps_its_own_package_though_others_are_newer(
    package: str, on_project: Project, change: Change
) -> None:
    change(RETENTION=ONE)
    minutes = now() + timedelta(minutes=10)
    put(on_project, package, "edms-newer", created_at=minutes, sha256="0" * 64)

    run = run_here("backup")

    assert run.package in names(on_project)
    assert package not in names(on_project)


def test_packages_that_no_trusted_key_signed_take_no_slot_and_are_told_of(
    on_project: Project, signing: str, change: Change
) -> None:
    change(RETENTION=ONE)
    first = run_here("backup").package
    forged = [put(on_project, first, f"edms-{number}", created_at=now()) for number in range(3)]
    ahead = put(
        on_project, first, "edms-ahead", key=signing, created_at=now() + timedelta(days=900)
    )

    run = run_here("backup")

    assert names(on_project) == {run.package, ahead, *forged}
    text = " ".join(run.report["warnings"])
    assert "no trusted key signed count for nothing: " in text
    assert all(name in text for name in forged)
    assert f"dated in the future and count for nothing until then: {ahead}" in text


def test_packages_of_another_installation_are_told_apart_and_can_be_taken_over(
    package: str, on_project: Project, change: Change
) -> None:
    change(RETENTION=ONE)
    assert sidecar_of(on_project, package).installation == installation.this_installation()
    theirs = [older(on_project, package, days, installation="f" * 16) for days in (1, 2)]

    told, warnings = prune()
    assert told == {}
    assert "another installation, ffffffffffffffff, makes packages of project" in warnings[0]
    assert "adopt_installation ffffffffffffffff" in warnings[0]

    assert run_command("adopt_installation", "nonsense")[0] == 2
    assert run_command("adopt_installation", "f" * 16)[0] == 0
    told, warnings = prune()
    assert (set(told), warnings) == (set(theirs), [])


def test_types_are_weighed_apart(package: str, on_project: Project, change: Change) -> None:
    """A package of files, made at noon, is no reason to remove last night's backup."""
    change(RETENTION=ONE)
    put(on_project, package, "edms-files", type="files", created_at=now() + timedelta(minutes=1))

    assert prune()[0] == {}


def test_half_goes_at_once_and_the_rest_waits_with_a_warning(
    package: str, on_project: Project, change: Change
) -> None:
    change(RETENTION={**ONE, "share": 0.5})
    old = [older(on_project, package, days) for days in (5, 4, 3, 2, 1)]

    told, warnings = prune(dry_run=True)
    assert told[old[4]]["why"].endswith("goes the next time")
    assert "3 packages of the store 'backups' go, 2 more wait" in warnings[0]
    assert "50% go at once" in warnings[0]

    assert set(prune()[0]) == set(old[:3])
    assert set(prune()[0]) == {old[3]}


def test_a_package_that_failed_stays_in_the_store_and_takes_no_slot(
    package: str, on_project: Project, change: Change
) -> None:
    change(RETENTION=ONE)
    second = run_here("backup").package
    assert names(on_project) == {second}
    damage(on_project, second)
    fails("verify", package=second)

    third = run_here("backup").package
    assert names(on_project) == {second, third}
    assert "it failed a test; kept until" in prune(dry_run=True)[0][second]["why"]


def test_a_package_without_its_files_takes_no_slot_from_one_that_has_them(
    package: str, on_project: Project, change: Change
) -> None:
    """Nights on which the media were not mounted must not push the whole backups out."""
    change(RETENTION={**ONE, "daily": 2})
    whole = older(on_project, package, 3)
    lacking = [
        older(on_project, package, days, incomplete="storage default: 5 of 5 files")
        for days in (1, 2)
    ]

    result = expiry.expire(run_id="", dry=False)

    assert result["removed"] == []
    assert names(on_project) == {package, whole, *lacking}
    whys = {each["name"]: each["why"] for each in expiry.expire(run_id="", dry=True)["packages"]}
    assert all("it is incomplete; kept until" in whys[name] for name in lacking)


def test_a_dry_run_looks_like_one(package: str) -> None:
    code, out, _ = run_command("prune_packages", "--dry-run")
    assert code == 0
    assert "the last good backup" in out
    assert out.rstrip().endswith("0 packages would be removed")

    run = Run.objects.get(kind="prune")
    assert "dry run: nothing was removed" in run_command("runs")[1]
    assert f'"run": "{run.pk}", "kind": "prune"' in run_command("runs", "--json")[1]
    assert '"dry_run": true' in run_command("runs", "--json")[1]


def test_a_label_may_have_a_retention_of_its_own(
    on_project: Project, package: str, change: Change
) -> None:
    change(
        RETENTION=ONE,
        RETENTION_BY_LABEL={"rows": {"daily": 2, "weekly": 0, "monthly": 0, "minimum": 0}},
    )
    for days in (1, 2, 3):
        older(on_project, package, days)
    for days in (11, 12, 13):
        older(on_project, package, days, label="rows")

    prune()

    assert {name.split(".")[0] for name in names(on_project)} == {
        package.split(".")[0],
        "edms-11",
        "edms-12",
    }
