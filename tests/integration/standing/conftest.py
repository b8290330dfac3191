"""A small EDMS, and this process in it: its packages are made, tested and pruned for real."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from backup_tasks.errors import BackupError
from backup_tasks.models import Run
from backup_tasks.package.sidecar import Sidecar
from backup_tasks.package.signature import generate_key
from backup_tasks.runs import chains, foreground
from backup_tasks.storage import last_good
from backup_tasks.storage.folder import read_sidecar
from backup_tasks.storage.last_good import Candidate
from tests.services import Project
from tests.unit.admin.conftest import Silent

Change = Callable[..., None]


@pytest.fixture
def engine() -> str:
    """What is tried here does not depend on the database."""
    return "sqlite"


@pytest.fixture
def change(settings: Settings) -> Change:
    """Call it with keys of BACKUP and their values."""

    def put(**values: Any) -> None:
        settings.BACKUP = {**settings.BACKUP, **values}

    return put


@pytest.fixture
def signing(change: Change, tmp_path: Path) -> str:
    """This system signs, and trusts no other key. Returns the secret key."""
    secret, public = generate_key()
    key = tmp_path / "signing.key"
    key.write_text(secret)
    key.chmod(0o600)
    change(SIGNING_KEY=str(key), TRUSTED_KEYS=[public])
    return secret


def run_here(kind: str, **params: Any) -> Run:
    """Execute a run in this process."""
    run = chains.start(kind, trigger="command", params=params)
    return foreground.run_here(run, watcher=Silent())


def fails(kind: str, **params: Any) -> Run:
    """Execute a run in this process that must fail."""
    run = chains.start(kind, trigger="command", params=params)
    with pytest.raises(BackupError):
        foreground.run_here(run, watcher=Silent())
    return Run.objects.get(pk=run.pk)


def sidecar_of(project: Project, name: str) -> Sidecar:
    """The sidecar of a package in the store."""
    path = project.store / f"{name.split('.', 1)[0]}.json"
    with path.open("rb") as file:
        return read_sidecar(file, path.name)


def put(into: Project, like: str, name: str, *, key: str | None = None, **changes: Any) -> str:
    """Put a copy of the package `like` into the store that says something else of itself; signed
    where there is a key. Returns its name."""
    ending = like.split(".", 1)[1]
    whole = f"{name}.{ending}"
    if isinstance(moment := changes.get("created_at"), datetime):
        changes["created_at"] = moment.isoformat()
    sidecar = replace(sidecar_of(into, like), name=whole, signed_by=None, signature=None, **changes)
    if key:
        sidecar = sidecar.signed(key)
    target = into.store / whole
    target.unlink(missing_ok=True)
    target.hardlink_to(into.store / like)
    (into.store / sidecar.file_name).write_bytes(sidecar.to_json())
    return whole


def damage(project: Project, name: str) -> Callable[[], None]:
    """Flip a byte in the middle of a package; call what it returns to mend it again."""
    path = project.store / name
    sound = path.read_bytes()
    middle = len(sound) // 2
    path.write_bytes(sound[:middle] + bytes([sound[middle] ^ 0xFF]) + sound[middle + 1 :])

    def mend() -> None:
        path.write_bytes(sound)

    return mend


def known(name: str) -> Candidate:
    """What is known of a package in the store."""
    return next(each for each in last_good.survey() if each.name == name)


def prune(**params: Any) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Prune; return what it says of each package, by name, and its warnings."""
    run = run_here("prune", **params)
    told = run.steps.get(name="prune").result
    json.dumps(told)
    return {each["name"]: each for each in told["packages"]}, run.report["warnings"]
