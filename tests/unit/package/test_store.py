"""What a store promises, over every kind of storage that it treats in its own way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, InMemoryStorage, Storage

from backup_tasks.errors import (
    HandoverChanged,
    Misconfigured,
    PackageDamaged,
    PackageNotFound,
    StorageRefused,
    StorageUnavailable,
)
from backup_tasks.package.sidecar import Sidecar
from backup_tasks.storage.store import Store

from .content import PACKAGE

NAME = PACKAGE
STEM = NAME.removesuffix(".tar.zst")


def files(storage: Storage) -> set[str]:
    try:
        return set(storage.listdir("")[1])
    except FileNotFoundError:
        return set()


def place(storage: Storage, name: str, data: bytes) -> None:
    """Put a file there as it is, whatever was there before."""
    storage.delete(name)
    assert storage.save(name, ContentFile(data)) == name


def test_a_published_package_is_listed_and_fetched(
    store: Store, storage: Storage, package: Path, sidecar: Sidecar, tmp_path: Path
) -> None:
    store.publish(package, sidecar)

    assert files(storage) == {NAME, f"{STEM}.json"}
    assert store.listing().sidecars == (sidecar,)
    assert store.listing().broken == ()
    assert store.exists(NAME)
    assert store.sidecar(NAME) == store.sidecar(STEM) == store.scrub(NAME) == sidecar
    assert store.fetch(NAME, tmp_path / "fetched") == sidecar
    assert (tmp_path / "fetched").read_bytes() == package.read_bytes()


def test_an_empty_store_lists_nothing(store: Store) -> None:
    assert store.listing().sidecars == ()
    assert not store.exists(NAME)


def test_publishing_again_changes_nothing(
    store: Store, storage: Storage, package: Path, sidecar: Sidecar
) -> None:
    """A step may be delivered twice."""
    store.publish(package, sidecar)
    store.publish(package, sidecar)

    assert files(storage) == {NAME, f"{STEM}.json"}
    assert store.listing().sidecars == (sidecar,)


def test_a_name_is_never_used_for_two_packages(
    store: Store, package: Path, sidecar: Sidecar
) -> None:
    store.publish(package, sidecar)

    with pytest.raises(Misconfigured, match="another package"):
        store.publish(package, replace(sidecar, id="other"))

    assert store.listing().sidecars == (sidecar,)


def test_what_an_interrupted_attempt_left_is_not_listed_and_is_replaced(
    store: Store, storage: Storage, package: Path, sidecar: Sidecar
) -> None:
    place(storage, NAME, b"half of it")
    assert store.listing().sidecars == ()
    assert not store.exists(NAME)

    store.publish(package, sidecar)

    assert files(storage) == {NAME, f"{STEM}.json"}
    assert store.scrub(NAME) == sidecar


def test_a_file_that_is_not_what_was_packed_is_not_published(
    store: Store, storage: Storage, package: Path, sidecar: Sidecar
) -> None:
    for data in (package.read_bytes()[:-1], package.read_bytes()[:-1] + b"?"):
        package.write_bytes(data)
        with pytest.raises(HandoverChanged):
            store.publish(package, sidecar)
    package.unlink()
    with pytest.raises(HandoverChanged, match="missing"):
        store.publish(package, sidecar)

    assert files(storage) == set()


@pytest.mark.parametrize("change", [b"", b"?"])
def test_a_package_that_changed_in_the_store_is_refused_and_not_fetched(
    store: Store,
    storage: Storage,
    package: Path,
    sidecar: Sidecar,
    tmp_path: Path,
    change: bytes,
) -> None:
    store.publish(package, sidecar)
    place(storage, NAME, package.read_bytes()[: -len(change) - 1] + change * 2)

    with pytest.raises(PackageDamaged):
        store.fetch(NAME, tmp_path / "fetched")
    with pytest.raises(PackageDamaged):
        store.scrub(NAME)

    assert not (tmp_path / "fetched").exists()
    assert not list(tmp_path.glob(".*"))


def test_a_broken_sidecar_is_reported_beside_the_good_ones(
    store: Store, storage: Storage, package: Path, sidecar: Sidecar
) -> None:
    store.publish(package, sidecar)
    lost = replace(sidecar, name="lost.tar.zst", id="1" * 16)
    store.publish(package, lost)
    storage.delete(lost.name)
    short = replace(sidecar, name="short.tar.zst", id="5" * 16)
    store.publish(package, short)
    place(storage, short.name, b"short")
    for name, data in (("not.json", b"no"), ("renamed.json", sidecar.to_json())):
        place(storage, name, data)

    listing = store.listing()

    assert listing.sidecars == (sidecar,)
    assert {found.error.obj for found in listing.broken} == {
        "lost.tar.zst",
        "short.tar.zst",
        "not.json",
        "renamed.json",
    }


def test_packages_are_listed_newest_first(store: Store, package: Path, sidecar: Sidecar) -> None:
    for day in (2, 3, 1):
        moment = f"2026-11-0{day}T00:00:00+00:00"
        store.publish(package, replace(sidecar, name=f"{day}.tar.zst", created_at=moment))

    assert [found.name[0] for found in store.listing().sidecars] == ["3", "2", "1"]


def test_deleting_twice_is_fine_and_touches_no_other_package(
    store: Store, storage: Storage, package: Path, sidecar: Sidecar
) -> None:
    """P2: names are compared whole."""
    other = replace(sidecar, name="other-" + NAME)
    store.publish(package, sidecar)
    store.publish(package, other)

    store.delete(NAME)
    store.delete(NAME)

    assert store.listing().sidecars == (other,)
    assert files(storage) == {other.name, other.file_name}


@pytest.mark.parametrize("name", ["", "nothing", "../package", "/etc/passwd", "..", ".hidden"])
def test_a_name_that_is_not_there_is_not_found(store: Store, name: str, tmp_path: Path) -> None:
    (tmp_path / "package.json").write_text("{}")

    with pytest.raises(PackageNotFound):
        store.sidecar(name)
    with pytest.raises(PackageNotFound):
        store.fetch(name, tmp_path / "fetched")


@pytest.mark.parametrize("name", ["", "../package", "/etc/passwd", "..", "x.json"])
def test_nothing_outside_the_store_is_deleted_or_written(
    store: Store, name: str, package: Path, sidecar: Sidecar
) -> None:
    with pytest.raises(PackageNotFound):
        store.delete(name)
    with pytest.raises(Misconfigured):
        store.publish(package, replace(sidecar, name=name))

    assert package.exists()


class FailingOn(InMemoryStorage):
    """A storage that fails when a file of that ending is saved."""

    def __init__(self, ending: str) -> None:
        super().__init__()
        self.ending = ending

    def save(self, name: str | None, content: Any, max_length: int | None = None) -> str:
        if str(name).endswith(self.ending):
            raise ConnectionError("the storage is gone")
        return str(super().save(name, content, max_length))


@pytest.mark.parametrize("ending", [".json", ".tar.zst"])
def test_a_storage_that_fails_while_publishing_leaves_nothing_listed(
    package: Path, sidecar: Sidecar, ending: str
) -> None:
    storage = FailingOn(ending)
    store = Store(storage, alias="backups")

    with pytest.raises(StorageUnavailable, match=r"'backups' failed \(the storage is gone\)"):
        store.publish(package, sidecar)
    assert store.listing().sidecars == ()

    storage.ending = "-"
    store.publish(package, sidecar)
    assert store.listing().sidecars == (sidecar,)


def test_a_crash_between_data_and_sidecar_leaves_nothing_listed(
    package: Path, sidecar: Sidecar, tmp_path: Path
) -> None:
    """The sidecar's name is taken by a folder, so that writing it fails for real."""
    folder = tmp_path / "store"
    (folder / f".{STEM}.json.partial").mkdir(parents=True)
    store = Store(FileSystemStorage(location=folder), alias="backups")

    with pytest.raises(StorageRefused):
        store.publish(package, sidecar)

    assert (folder / NAME).exists()
    assert store.listing().sidecars == ()


def test_deleting_starts_with_the_sidecar(package: Path, sidecar: Sidecar) -> None:
    class Stubborn(InMemoryStorage):
        def delete(self, name: str) -> None:
            if name == NAME:
                raise ConnectionError("gone")
            super().delete(name)

    storage = Stubborn()
    store = Store(storage, alias="backups")
    store.publish(package, sidecar)

    with pytest.raises(StorageUnavailable):
        store.delete(NAME)

    assert files(storage) == {NAME}
    assert store.listing().sidecars == ()


def test_a_storage_that_renames_is_refused_and_left_clean(package: Path, sidecar: Sidecar) -> None:
    class Renaming(InMemoryStorage):
        def get_available_name(self, name: str, max_length: int | None = None) -> str:
            return "renamed-" + name

    storage = Renaming()

    with pytest.raises(Misconfigured, match="renamed-"):
        Store(storage, alias="backups").publish(package, sidecar)

    assert files(storage) == set()


def test_a_storage_that_truncates_is_noticed(package: Path, sidecar: Sidecar) -> None:
    class Truncating(InMemoryStorage):
        def size(self, name: str) -> int:
            return super().size(name) - 1

    with pytest.raises(PackageDamaged, match="the store holds"):
        Store(Truncating(), alias="backups").publish(package, sidecar)


def test_packages_in_a_folder_are_readable_by_their_owner_only(
    package: Path, sidecar: Sidecar, tmp_path: Path
) -> None:
    Store(FileSystemStorage(location=tmp_path / "store"), alias="backups").publish(package, sidecar)

    for path in (tmp_path / "store").iterdir():
        assert path.stat().st_mode & 0o077 == 0
