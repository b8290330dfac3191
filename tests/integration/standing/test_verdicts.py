"""Failures and proofs are remembered with the package, and so are pins."""

import logging
from pathlib import Path

import pytest

from backup_tasks.models import Package, PackagePin, PackageVerdict, Run
from backup_tasks.package.signature import generate_key
from backup_tasks.package.standing import standing_name
from backup_tasks.storage import last_good, verdicts
from tests.integration.standing.conftest import (
    Change,
    damage,
    fails,
    known,
    put,
    run_here,
    sidecar_of,
)
from tests.services import Project


@pytest.fixture
def package(on_project: Project) -> str:
    """A package of the project."""
    return run_here("backup").package


def lose_the_ledger() -> None:
    """What a disaster does to what was found out about packages."""
    for model in (Package, PackageVerdict, PackagePin):
        model.objects.all().delete()


def refuse(alias: str) -> list[str]:
    """A check of the project that finds something wrong with every staging."""
    return ["the sums do not add up"]


def test_a_verification_that_failed_is_remembered_until_one_succeeds(
    package: str, on_project: Project
) -> None:
    mend = damage(on_project, package)

    run = fails("verify", package=package)

    candidate = known(package)
    failure = candidate.standing.failure
    assert failure is not None
    assert (failure.test, failure.run) == ("contents", run.pk)
    assert "SHA-256" in failure.why
    assert (run.package, run.package_sha256) == (package, candidate.sha256)
    assert Package.objects.get().failed_at == failure.at

    mend()
    run_here("verify", package=package)

    assert known(package).standing.failure is None
    assert Package.objects.get().failed_at is None


def test_a_drill_that_failed_is_remembered_and_no_verification_clears_it(
    package: str, change: Change
) -> None:
    run_here("drill", package=package)
    assert known(package).standing.proven

    change(CHECKS=[f"{__name__}.refuse"])
    run = fails("drill", package=package)
    run_here("verify", package=package)

    failure = known(package).standing.failure
    assert run.package == package
    assert failure is not None
    assert failure.test == "restore"
    assert "the sums do not add up" in failure.why

    change(CHECKS=[])
    run_here("drill", package=package)
    assert known(package).standing.proven


def test_a_run_that_failed_for_another_reason_does_not_count_against_the_package(
    package: str, change: Change, signing: str
) -> None:
    """It was made before anybody signed."""
    run = fails("drill", package=package)

    assert run.error is not None
    assert run.error["kind"] == "SignatureInvalid"
    assert run.package == package
    assert not PackageVerdict.objects.filter(passed=False).exists()


def test_a_restore_proves_the_package_and_one_of_some_models_does_not(
    package: str, on_project: Project
) -> None:
    run_here("restore", package=package, include=["documents"], safety=False)
    assert not known(package).standing.proven

    run_here("restore", package=package, safety=False)
    assert known(package).standing.proven


def test_what_is_known_is_of_the_very_package_not_of_its_name(
    package: str, on_project: Project
) -> None:
    run_here("drill", package=package)
    (on_project.store / package).write_bytes(b"another")
    other = sidecar_of(on_project, package)
    changed = other.to_json().replace(other.sha256.encode(), b"0" * 64)
    changed = changed.replace(f'"size": {other.size}'.encode(), b'"size": 7')
    (on_project.store / other.file_name).write_bytes(changed)

    candidate = known(package)

    assert candidate.sha256 == "0" * 64
    assert candidate.standing.drilled_at is None
    assert Package.objects.get().drilled_at is None


def test_a_ledger_that_is_made_anew_knows_what_was_found_out(
    package: str, on_project: Project, signing: str, change: Change
) -> None:
    signed = run_here("backup").package
    run_here("drill", package=signed)
    verdicts.set_pin(known(signed).sha256, pinned=True, by="ada", reason="the audit")
    before = known(signed).standing

    lose_the_ledger()

    assert known(signed).standing == before
    assert before.proven
    assert before.pinned
    assert Package.objects.get(name=signed).drilled_at == before.drilled_at


@pytest.mark.parametrize("how", ["unsigned", "another's", "of another package", "nonsense", "huge"])
def test_a_copy_that_no_trusted_key_signed_decides_nothing(
    on_project: Project, signing: str, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    package = run_here("backup").package
    other = put(on_project, package, "edms-other", key=signing, sha256="0" * 64)
    run_here("drill", package=package)
    standing = known(package).standing
    lose_the_ledger()
    beside = on_project.store / standing_name(package)
    if how == "unsigned":
        beside.write_bytes(standing.to_json(None))
    elif how == "another's":
        beside.write_bytes(standing.to_json(generate_key()[0]))
    elif how == "of another package":
        beside.rename(on_project.store / standing_name(other))
    else:
        beside.write_bytes(b"{" if how == "nonsense" else b" " * (1 << 20))

    with caplog.at_level(logging.WARNING):
        found = [known(package), known(other)]

    assert [each.standing.verdicts for each in found] == [(), ()]


def test_where_no_key_is_trusted_an_unsigned_copy_counts(package: str) -> None:
    run_here("drill", package=package)
    lose_the_ledger()

    assert known(package).standing.proven


def test_a_host_without_a_signing_key_does_not_replace_what_others_signed(
    on_project: Project, signing: str, change: Change
) -> None:
    package = run_here("backup").package
    beside = on_project.store / standing_name(package)
    signed = beside.read_bytes()
    change(SIGNING_KEY=None)

    run_here("drill", package=package)

    assert known(package).standing.proven, "this ledger knows it"
    assert beside.read_bytes() == signed


def test_a_copy_that_could_not_be_written_is_written_with_the_next_prune(
    package: str, on_project: Project
) -> None:
    beside = on_project.store / standing_name(package)
    beside.unlink()

    run_here("prune")

    assert beside.is_file()
    lose_the_ledger()
    assert known(package).standing.verified_at is not None


def test_a_pipe_beside_a_package_stops_nobody(package: str, on_project: Project) -> None:
    import os

    beside: Path = on_project.store / standing_name(package)
    beside.unlink()
    os.mkfifo(beside)

    assert known(package).standing.verified_at is not None


def test_the_package_of_a_safety_backup_is_verified_too(package: str) -> None:
    run_here("restore", package=package)

    safety = next(each for each in last_good.survey() if each.label == "safety")
    assert safety.standing.verified_at is not None
    assert Run.objects.get(kind="restore").package == package
