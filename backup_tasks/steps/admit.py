"""Publish an uploaded package that the step before has verified."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backup_tasks.errors import HandoverChanged, Misconfigured
from backup_tasks.package.compression import detect
from backup_tasks.package.sidecar import Sidecar
from backup_tasks.package.standing import Test
from backup_tasks.package.streams import copy
from backup_tasks.package.tar import BLOCK
from backup_tasks.restore import open_package, recorded_verdicts
from backup_tasks.steps import Work
from backup_tasks.storage import catalogue, uploads
from backup_tasks.storage.folder import Void


def admit(work: Work) -> dict[str, Any]:
    """Return {"package", "store"}. What is published is the copy that was verified, under the
    sidecar that it was verified with; a package without one gets one, which is not signed.

    Raises Misconfigured if a store has another package of that name, HandoverChanged if the
    verified copy is gone.
    """
    uploaded = Path(str(work.params["package"]))
    alias, store = catalogue.stores()[0]
    packed = _verified_copy(work, uploaded.name)
    sidecar = uploads.sidecar_of(uploaded) or _new_sidecar(work, packed)
    checked: Test = "bytes" if work.results["verify"]["checked"] == "bytes" else "contents"
    stated = work.results["verify"]["sha256"]
    if stated and stated != sidecar.sha256:
        raise HandoverChanged(
            "the sidecar is no longer the one that was verified",
            obj=uploaded.name,
            hint="Upload the package again; nothing else may write to the workspace.",
        )
    if not store.exists(uploaded.name):
        uploads.refuse_known(uploaded.name)
    work.still_mine()
    store.publish(packed, sidecar)
    catalogue.record(sidecar, alias)
    recorded_verdicts.passed(work, checked, sidecar.sha256)
    uploads.remove(uploaded.parent)
    return {"package": sidecar.name, "store": alias}


def _verified_copy(work: Work, name: str) -> Path:
    """Return the copy that was verified, where a cleanup finds what was begun to be published."""
    copied = work.workspace / "package" / name
    packed = work.workspace / "out" / "packed" / name
    packed.parent.mkdir(parents=True, exist_ok=True)
    if copied.exists():
        copied.replace(packed)
    if not packed.exists():
        raise HandoverChanged(
            "the verified package is gone from the workspace",
            obj=name,
            hint="Upload it again: a run's workspace must reach all of its workers.",
        )
    return packed


def _new_sidecar(work: Work, packed: Path) -> Sidecar:
    """Return the sidecar of a package that has none. Its content is read once more: only what is
    hashed here is stated."""
    opened = open_package.Opened(name=packed.name, path=packed, sidecar=None)
    manifest = open_package.check_contents(
        opened, work.workspace / "package", work.params, work.progress
    )
    if manifest is None:
        raise Misconfigured(
            "an encrypted package needs its sidecar, which says for whom",
            obj=packed.name,
            hint="Upload the sidecar, too.",
        )
    with packed.open("rb") as file:
        compression = detect(file.read(BLOCK))
        file.seek(0)
        written = copy(file, Void())
    return Sidecar.of(
        manifest, name=packed.name, written=written, compression=compression, recipients=()
    )
