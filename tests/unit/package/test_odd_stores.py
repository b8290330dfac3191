"""What others put into a store, or take out of it, stops nobody."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import pytest
from django.core.files.storage import FileSystemStorage, InMemoryStorage

from backup_tasks.errors import PackageDamaged, PackageNotFound, StorageUnavailable
from backup_tasks.package.sidecar import Sidecar
from backup_tasks.storage.store import Store

from .test_store import NAME, STEM


def put_beside(folder: Path, name: bytes, content: bytes) -> None:
    (Path(os.fsdecode(os.path.join(os.fsencode(folder), name)))).write_bytes(content)  # noqa: PTH118


def test_what_is_no_sidecar_is_named_and_the_rest_is_listed(
    package: Path, sidecar: Sidecar, tmp_path: Path
) -> None:
    """Nobody opens a pipe, which would wait for ever; nothing odd ends the listing."""
    folder = tmp_path / "store"
    store = Store(FileSystemStorage(location=folder), alias="backups")
    store.publish(package, sidecar)
    os.mkfifo(folder / "pipe.json")
    (folder / "device.json").symlink_to("/dev/zero")
    (folder / "circle.json").symlink_to("circle.json")
    (folder / "nowhere.json").symlink_to("nothing")
    (folder / "folder.json").mkdir()
    for name in (b"\xff.json", b"\x1b[2J.json", b"back\\slash.json", b"deep.json", b"two.json"):
        content = b"[" * 100_000 if name == b"deep.json" else sidecar.to_json()
        put_beside(folder, name, content)

    listing = store.listing()

    assert listing.sidecars == (sidecar,)
    assert {broken.file_name for broken in listing.broken} == {
        *("pipe.json", "device.json", "folder.json", "circle.json", "nowhere.json"),
        *("deep.json", "two.json"),
        *(r"\xff.json", r"\x1b[2J.json", r"back\slash.json"),
    }
    reasons = {broken.file_name: broken.error.what for broken in listing.broken}
    assert reasons["pipe.json"] == "this is no file but a pipe, a socket or a device"
    assert all(broken.error.obj for broken in listing.broken)
    assert all(str(broken.error).isprintable() for broken in listing.broken)


def test_a_pipe_in_a_packages_place_is_not_opened(
    package: Path, sidecar: Sidecar, tmp_path: Path
) -> None:
    folder = tmp_path / "store"
    store = Store(FileSystemStorage(location=folder), alias="backups")
    package.write_bytes(b"")  # as long as a pipe says that it is
    store.publish(package, replace(sidecar, size=0, sha256=hashlib.sha256(b"").hexdigest()))
    (folder / NAME).unlink()
    os.mkfifo(folder / NAME)

    with pytest.raises(PackageDamaged, match="a pipe"):
        store.scrub(NAME)


@pytest.mark.parametrize("both", [True, False])
def test_a_package_that_is_deleted_while_the_store_is_listed_is_skipped(
    package: Path, sidecar: Sidecar, both: bool
) -> None:
    """Somebody else's prune takes the sidecar first, then the data."""

    class Pruned(InMemoryStorage):
        def listdir(self, path: str) -> tuple[list[str], list[str]]:
            listed = super().listdir(path)
            for name in [f"gone-{STEM}.json"] + [f"gone-{NAME}"] * both:
                self.delete(name)
            return listed

    storage = Pruned()
    store = Store(storage, alias="backups")
    store.publish(package, sidecar)
    store.publish(package, replace(sidecar, name=f"gone-{NAME}"))

    listing = store.listing()

    assert listing.sidecars == (sidecar,)
    assert listing.broken == ()


def test_a_store_that_does_not_answer_is_not_called_a_broken_package(
    package: Path, sidecar: Sidecar
) -> None:
    class Away(InMemoryStorage):
        def size(self, name: str) -> int:
            raise ConnectionError("gone")

    storage = InMemoryStorage()
    Store(storage, alias="backups").publish(package, sidecar)
    away = Away()
    away._root = storage._root  # type: ignore[attr-defined]  # of Django's, the same files

    with pytest.raises(StorageUnavailable):
        Store(away, alias="backups").listing()


def test_a_name_with_another_ending_is_another_package(
    store: Store, package: Path, sidecar: Sidecar
) -> None:
    """Both would have the same sidecar."""
    store.publish(package, sidecar)

    for name in (f"{STEM}.tar.gz", f"{STEM}.tar.zst.age"):
        with pytest.raises(PackageNotFound):
            store.sidecar(name)
    assert store.sidecar(STEM) == sidecar
