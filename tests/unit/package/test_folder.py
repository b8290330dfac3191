from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from django.core.files.storage import FileSystemStorage

from backup_tasks.errors import HandoverChanged, Misconfigured, PackageDamaged, StorageRefused
from backup_tasks.package.sidecar import Sidecar
from backup_tasks.storage.folder import check_beside, publish_to_path, sidecar_beside
from backup_tasks.storage.store import Store

from .content import Content, tree


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return tmp_path / "workspace-package"


@pytest.fixture
def sidecar(content: Content, package: Path) -> Sidecar:
    return content.sidecar("x.tar.gz", content.write(package))


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "x.tar.gz"


def test_an_output_path_gets_the_package_and_its_sidecar(
    package: Path, sidecar: Sidecar, target: Path
) -> None:
    publish_to_path(package, target, sidecar)
    publish_to_path(package, target, sidecar)

    assert tree(target.parent) == {
        "x.tar.gz": package.read_bytes(),
        "x.json": sidecar.to_json(),
    }
    assert sidecar_beside(target) == sidecar
    check_beside(target, sidecar)


def test_a_crash_before_the_sidecar_was_written_can_be_made_good(
    package: Path, sidecar: Sidecar, target: Path
) -> None:
    target.write_bytes(package.read_bytes())

    publish_to_path(package, target, sidecar)

    assert sidecar_beside(target) == sidecar


@pytest.mark.parametrize("name", ["x.json", ".x.tar.gz"])
def test_a_name_whose_sidecar_could_not_be_read_is_refused(
    package: Path, sidecar: Sidecar, target: Path, name: str
) -> None:
    with pytest.raises(Misconfigured, match=r"\.json"):
        publish_to_path(package, target.with_name(name), replace(sidecar, name=name))

    assert tree(target.parent) == {}


def test_a_folder_where_the_package_should_be_is_refused(
    package: Path, sidecar: Sidecar, target: Path
) -> None:
    target.mkdir()

    with pytest.raises(Misconfigured, match="already"):
        publish_to_path(package, target, sidecar)


def test_a_package_without_a_sidecar_has_none(package: Path, sidecar: Sidecar) -> None:
    assert sidecar_beside(package) is None


@pytest.mark.parametrize("existing", ["x.tar.gz", "x.json"])
def test_what_is_there_already_is_not_overwritten(
    package: Path, sidecar: Sidecar, target: Path, existing: str
) -> None:
    (target.parent / existing).write_bytes(b"precious")

    with pytest.raises((Misconfigured, PackageDamaged)):
        publish_to_path(package, target, sidecar)

    assert tree(target.parent) == {existing: b"precious"}


def test_another_package_of_that_name_is_not_overwritten(
    package: Path, sidecar: Sidecar, target: Path
) -> None:
    publish_to_path(package, target, sidecar)
    before = tree(target.parent)

    with pytest.raises(Misconfigured, match="another package"):
        publish_to_path(package, target, replace(sidecar, id="other"))

    assert tree(target.parent) == before


def test_a_sidecar_made_for_another_name_is_refused(
    package: Path, sidecar: Sidecar, target: Path
) -> None:
    with pytest.raises(Misconfigured, match=r"x\.tar\.gz"):
        publish_to_path(package, target.with_name("y.tar.gz"), sidecar)


def test_a_package_that_changed_is_not_put_there(
    package: Path, sidecar: Sidecar, target: Path
) -> None:
    package.write_bytes(b"other")

    with pytest.raises(HandoverChanged):
        publish_to_path(package, target, sidecar)

    assert tree(target.parent) == {}


def test_a_folder_that_is_not_there_is_named(
    package: Path, sidecar: Sidecar, tmp_path: Path
) -> None:
    with pytest.raises(StorageRefused, match="No such file") as caught:
        publish_to_path(package, tmp_path / "nowhere" / "x.tar.gz", sidecar)

    assert "nowhere" in caught.value.obj


@pytest.mark.parametrize("tail", [b"", b"??", b"?!?"])
def test_a_package_that_is_not_the_one_of_its_sidecar_is_refused(
    package: Path, sidecar: Sidecar, target: Path, tail: bytes
) -> None:
    publish_to_path(package, target, sidecar)
    target.write_bytes(target.read_bytes()[:-2] + tail)

    with pytest.raises(PackageDamaged):
        check_beside(target, sidecar)


def test_a_pipe_beside_a_package_is_named_and_not_opened(target: Path) -> None:
    """Who opens a pipe to read it waits until somebody writes."""
    os.mkfifo(target.with_name("x.json"))

    with pytest.raises(PackageDamaged, match="a pipe"):
        sidecar_beside(target)


def test_pipes_in_a_store_are_named_and_the_rest_goes_on(
    package: Path, sidecar: Sidecar, tmp_path: Path
) -> None:
    folder = tmp_path / "store"
    store = Store(FileSystemStorage(location=folder), alias="backups")
    store.publish(package, sidecar)
    os.mkfifo(folder / "pipe.json")
    other = replace(sidecar, name="y.tar.gz", size=0)
    (folder / "y.json").write_bytes(other.to_json())
    os.mkfifo(folder / "y.tar.gz")

    listing = store.listing()

    assert sidecar in listing.sidecars
    assert [odd.file_name for odd in listing.broken] == ["pipe.json"]
    with pytest.raises(PackageDamaged, match="a pipe"):
        store.fetch("y.tar.gz", tmp_path / "fetched")
