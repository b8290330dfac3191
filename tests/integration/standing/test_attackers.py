"""Whoever may only add to a store can't make the owner's packages go."""

import datetime as dt
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backup_tasks.models import Run
from backup_tasks.package.sidecar import Sidecar
from backup_tasks.package.signature import generate_key
from backup_tasks.package.standing import Pin, Standing, Verdict, standing_name
from backup_tasks.storage import expiry, verdicts
from tests.integration.standing.conftest import Change, fails, known, run_here, sidecar_of
from tests.services import Project

NOW = dt.datetime.now(dt.UTC)
THREE = {"daily": 0, "weekly": 0, "monthly": 0, "minimum": 3, "share": 1}
STORES = 1000

FORGERY: dict[str, object] = {
    "days": 1,
    "label": "",
    "type": "full",
    "project": "project",
    "own_installation": True,
    "like": 2,
    "same_hash": False,
    "signed": "not",
    "standing": "none",
}
FORGED = st.fixed_dictionaries(
    {
        "days": st.integers(-4000, 4000),
        "label": st.sampled_from(["", "", "", "nightly", "safety"]),
        "type": st.sampled_from(["full", "full", "files", "database"]),
        "project": st.sampled_from(["project", "project", "other"]),
        "own_installation": st.booleans(),
        "like": st.integers(0, 4),
        "same_hash": st.booleans(),
        "signed": st.sampled_from(["not", "replayed", "another's key"]),
        "standing": st.sampled_from(["none", "failed", "proven", "pinned"]),
    }
)


@pytest.fixture
def shelf(on_project: Project, signing: str, change: Change) -> tuple[list[Sidecar], Path]:
    """Real packages, oldest first, and a folder with what the store holds: a proven one, one that
    the retention does not need, and the three newest."""
    real = [run_here("backup").package]
    run_here("drill", package=real[0])
    change(RETENTION={**THREE, "minimum": 5})
    real += [run_here("backup").package for _ in range(4)]
    change(RETENTION=THREE)
    kept = on_project.folder / "kept"
    shutil.copytree(on_project.store, kept)
    assert known(real[0]).standing.proven
    return [sidecar_of(on_project, name) for name in real], kept


def files_in(folder: Path) -> list[Path]:
    """Of a store: all but the certificates, which have a folder."""
    return [path for path in folder.iterdir() if path.is_file()]


def add(store: Path, number: int, forged: dict[str, object], real: list[Sidecar], key: str) -> None:
    """Put a package there that claims what it likes, without the owner's key."""
    like = real[int(str(forged["like"]))]
    sidecar = replace(
        like,
        name=f"edms-forged-{number}.tar.zst",
        id=f"{number:016x}",
        created_at=(NOW + dt.timedelta(days=int(str(forged["days"])), minutes=number)).isoformat(),
        label=str(forged["label"]),
        type=forged["type"],  # type: ignore[arg-type]  # one of the types
        project=str(forged["project"]),
        installation=like.installation if forged["own_installation"] else "0" * 16,
        size=1,
        sha256=like.sha256 if forged["same_hash"] else f"{number:064x}",
    )
    if forged["signed"] == "not":
        sidecar = replace(sidecar, signature=None, signed_by=None)
    elif forged["signed"] == "another's key":
        sidecar = sidecar.signed(key)
    (store / sidecar.name).write_bytes(b"x")
    (store / sidecar.file_name).write_bytes(sidecar.to_json())
    if forged["standing"] != "none":
        verdict = Verdict(test="restore", passed=forged["standing"] == "proven", at=NOW)
        pin = Pin(pinned=True, at=NOW) if forged["standing"] == "pinned" else None
        claim = Standing(sha256=sidecar.sha256, verdicts=(verdict,), pin=pin)
        (store / standing_name(sidecar.name)).write_bytes(claim.to_json(key))


@pytest.mark.slow
def test_in_a_thousand_stores_the_newest_its_predecessor_and_the_newest_proven_one_stay(
    shelf: tuple[list[Sidecar], Path], on_project: Project
) -> None:
    real, kept = shelf
    other_key, _ = generate_key()
    own = Run.objects.get(package=real[-1].name)
    stores: list[int] = []
    store = on_project.store

    @settings(
        max_examples=STORES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(attack=st.lists(FORGED, max_size=8))
    def survive(attack: list[dict[str, object]]) -> None:
        for path in files_in(store):
            path.unlink()
        for path in files_in(kept):
            (store / path.name).hardlink_to(path)
        for number, forged in enumerate(attack):
            add(store, number, forged, real, other_key)

        with transaction.atomic():
            told = expiry.expire(run_id=own.pk, dry=False)
            transaction.set_rollback(True)

        stores.append(len(attack))
        assert told["removed"] == [real[1].name]
        for sidecar in (real[0], *real[2:]):
            assert (store / sidecar.name).stat().st_size == sidecar.size
            assert (store / sidecar.file_name).is_file()

    survive()

    assert len(stores) >= STORES
    assert max(stores) > 3


def test_a_backup_after_such_an_attack_keeps_them_too(
    shelf: tuple[list[Sidecar], Path], on_project: Project
) -> None:
    """As before, but the whole backup: its own package is then the newest."""
    real, _ = shelf
    for number in range(12):
        forged = FORGERY | {"days": 365 + number, "standing": "proven"}
        add(on_project.store, number, forged, real, generate_key()[0])

    run = run_here("backup")

    left = {path.name for path in on_project.store.iterdir()}
    assert {run.package, real[4].name, real[3].name, real[0].name} <= left
    assert real[1].name not in left
    assert "no trusted key signed count for nothing" in " ".join(run.report["warnings"])


def test_a_forged_package_with_a_real_one_s_hash_does_not_make_that_one_fail(
    shelf: tuple[list[Sidecar], Path], on_project: Project
) -> None:
    real, _ = shelf
    forged = FORGERY | {"same_hash": True}
    add(on_project.store, 0, forged, real, generate_key()[0])

    fails("verify", package="edms-forged-0.tar.zst", allow_unsigned=True)
    fails("verify", package="edms-forged-0.tar.zst")

    assert verdicts.standings([real[2].sha256])[real[2].sha256].failure is None
