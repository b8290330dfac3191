"""What is brought here is signed, is encrypted where that is asked for, and is what its sidecar
says: told before anything is copied, or unpacked."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from backup_tasks.backup.options import package_options
from backup_tasks.conf import backup_settings
from backup_tasks.errors import (
    KeyMissing,
    Misconfigured,
    NotEncrypted,
    PackageDamaged,
    SignatureInvalid,
    StorageRefused,
)
from backup_tasks.package.cipher import generate_identity
from backup_tasks.package.facts import Totals
from backup_tasks.package.manifest import FileIndex
from backup_tasks.package.sidecar import Sidecar
from backup_tasks.package.signature import generate_key
from backup_tasks.restore import open_package
from backup_tasks.restore.open_package import Opened
from tests.unit.catalog.conftest import NAME, Shelf
from tests.unit.package.content import ROWS, manifest_of, model_entry
from tests.unit.package.test_hostile import forge, info


def bring(shelf: Shelf, name: str = NAME, **params: Any) -> Opened:
    return open_package.fetch(name, shelf.folder / "here", params=params)


def nothing_copied(shelf: Shelf) -> bool:
    here = shelf.folder / "here"
    return not here.exists() or list(here.iterdir()) == []


def check(shelf: Shelf, opened: Opened) -> Any:
    return open_package.check_contents(opened, shelf.folder / "here", {}, ignore_all)


def unpack(shelf: Shelf, opened: Opened) -> Any:
    return open_package.unpack_into(shelf.folder / "in", opened, {}, ignore_all)


OTHERS: dict[str, Any] = {
    "id": "f" * 16,
    "label": "another",
    "type": "export",
    "created_at": "2027-01-01T00:00:00+00:00",
    "host": "elsewhere",
    "project": "foreign",
    "totals": Totals(models=1, rows=1, files=1, content_size=1),
}


@pytest.mark.parametrize("field", OTHERS)
@pytest.mark.parametrize("read", [check, unpack])
def test_a_sidecar_that_differs_from_the_manifest_in_any_field_is_refused(
    shelf: Shelf, field: str, read: Callable[[Shelf, Opened], Any]
) -> None:
    sidecar = replace(shelf.put(), **{field: OTHERS[field]})
    shelf.spoil(sidecar.file_name, sidecar.to_json())
    opened = bring(shelf)

    with pytest.raises(PackageDamaged, match=f"{field}: the sidecar says") as caught:
        read(shelf, opened)

    assert caught.value.obj == NAME
    assert not (shelf.folder / "in").exists() or list((shelf.folder / "in").iterdir()) == []


def ignore_all(done: int, total: int | None = None, note: str = "") -> None:
    """A progress that nobody watches."""


def test_a_sidecar_that_calls_a_clear_package_encrypted_is_refused(shelf: Shelf) -> None:
    sidecar = replace(shelf.put(), encrypted=True)
    shelf.spoil(sidecar.file_name, sidecar.to_json())

    with pytest.raises(PackageDamaged, match="encrypted: the sidecar says True"):
        check(shelf, bring(shelf))


def test_a_package_without_a_sidecar_asks_for_the_room_that_its_manifest_says(
    shelf: Shelf, tmp_path: Path
) -> None:
    model = replace(model_entry(1, "documents.document", ROWS["documents.document"]), size=10**17)
    manifest = manifest_of([model]).to_json()
    package = forge([(info("manifest.json", len(manifest)), manifest)], tmp_path / "alone.tar.zst")

    with pytest.raises(StorageRefused, match="not enough room"):
        unpack(shelf, bring(shelf, str(package)))

    assert list((shelf.folder / "in").iterdir()) == []


def test_a_file_in_the_reserved_folder_is_refused(shelf: Shelf, tmp_path: Path) -> None:
    """What lies there is what undo brings back: no package may put anything there."""
    for name in (".backup_tasks/run/kept/a", ".Backup_Tasks/a", ".backup_tasks"):
        line = json.dumps({"storage": "default", "name": name, "size": 1, "sha256": "0" * 64})
        listing = line.encode() + b"\n"
        whole = replace(
            manifest_of([]),
            files=file_index(listing),
        ).to_json()
        package = forge(
            [
                (info("manifest.json", len(whole)), whole),
                (info("files.jsonl", len(listing)), listing),
                (info(f"files/default/{name}", 1), b"x"),
            ],
            tmp_path / "package.tar.zst",
        )
        with pytest.raises(PackageDamaged, match="where only undo keeps files"):
            unpack(shelf, bring(shelf, str(package)))


def file_index(listing: bytes) -> FileIndex:
    digest = sha256(listing).hexdigest()
    return FileIndex(count=1, total_size=1, sha256=digest, size=len(listing))


def test_an_unsigned_package_of_this_project_is_refused_before_it_is_copied(
    shelf: Shelf, configure: Callable[..., None]
) -> None:
    configure(TRUSTED_KEYS=[generate_key()[1]])
    shelf.put()

    with pytest.raises(SignatureInvalid) as caught:
        bring(shelf)

    assert "--allow-unsigned" in caught.value.hint
    assert nothing_copied(shelf)
    assert bring(shelf, allow_unsigned=True).name == NAME


@pytest.mark.parametrize("signed", [True, False])
def test_nobody_is_told_to_accept_somebody_elses_package(
    shelf: Shelf, configure: Callable[..., None], signed: bool
) -> None:
    configure(TRUSTED_KEYS=[generate_key()[1]])
    shelf.put(project="foreign", key=generate_key()[0] if signed else None)

    with pytest.raises(SignatureInvalid) as caught:
        bring(shelf)

    assert caught.value.obj == NAME
    assert "--allow-unsigned" not in str(caught.value)


@pytest.mark.parametrize("text", ["é" * 88, "not base64!", ""])
def test_a_signature_that_is_none_is_exit_code_6(
    shelf: Shelf, configure: Callable[..., None], text: str
) -> None:
    configure(TRUSTED_KEYS=[generate_key()[1]])
    sidecar = replace(shelf.put(), signature=text)
    shelf.spoil(sidecar.file_name, sidecar.to_json())

    with pytest.raises(SignatureInvalid) as caught:
        bring(shelf)

    assert (caught.value.exit_code, caught.value.obj) == (6, NAME)


@pytest.mark.parametrize("content", [None, b"\xff\xfe\0", b"", b"secret", b"A" * (2 << 20)])
def test_a_bad_identity_is_told_before_the_package_is_copied(
    shelf: Shelf, configure: Callable[..., None], content: bytes | None
) -> None:
    shelf.put()
    path = shelf.folder / "identity"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(KeyMissing) as caught:
        bring(shelf, identity=str(path))
    configure(IDENTITIES=[str(path)])
    with pytest.raises(KeyMissing):
        bring(shelf)

    assert caught.value.obj == str(path)
    assert "secret" not in str(caught.value)
    assert nothing_copied(shelf)


@pytest.mark.parametrize("key", ["", "backup-public-key:é", "nonsense", 7])
def test_a_bad_trusted_key_is_told_before_the_package_is_copied(
    shelf: Shelf, configure: Callable[..., None], key: object
) -> None:
    shelf.put()
    configure(TRUSTED_KEYS=[key])

    with pytest.raises(KeyMissing) as caught:
        bring(shelf, allow_unsigned=True)

    assert "TRUSTED_KEYS" in caught.value.obj
    assert nothing_copied(shelf)


@pytest.mark.parametrize("content", [None, b"\xff\xfe\0", b"", b"backup-secret-key:\xc3\xa9"])
def test_a_bad_signing_key_is_found_before_a_package_is_made(
    shelf: Shelf, configure: Callable[..., None], content: bytes | None
) -> None:
    path = shelf.folder / "signing.key"
    if content is not None:
        path.write_bytes(content)
    configure(SIGNING_KEY=str(path))

    with pytest.raises(KeyMissing) as caught:
        package_options({}, backup_settings())

    assert str(path) in caught.value.obj


@pytest.mark.parametrize("recipient", ["age1notakey", "", "ssh-rsa é", "age1\0", 7])
def test_a_bad_recipient_is_found_before_a_package_is_made(
    shelf: Shelf, configure: Callable[..., None], recipient: object
) -> None:
    configure(RECIPIENTS=[generate_identity()[1], recipient])

    with pytest.raises(KeyMissing) as caught:
        package_options({}, backup_settings())

    assert "RECIPIENTS" in caught.value.obj


@pytest.mark.parametrize("label", ["x" * 65, "a\0b", "two\nlines", "\ud800"])
def test_a_label_that_no_sidecar_can_have_is_refused_before_a_package_is_made(
    shelf: Shelf, label: str
) -> None:
    with pytest.raises(Misconfigured, match="label"):
        package_options({"label": label}, backup_settings())


def test_where_encryption_is_required_no_package_is_made_in_clear(
    shelf: Shelf, configure: Callable[..., None]
) -> None:
    configure(REQUIRE_ENCRYPTION=True)
    for params in ({}, {"encrypt": False}):
        with pytest.raises(NotEncrypted) as caught:
            package_options(params, backup_settings())
        assert caught.value.exit_code == 6

    configure(RECIPIENTS=[generate_identity()[1]])
    assert package_options({}, backup_settings()).encrypted
    with pytest.raises(NotEncrypted):
        package_options({"encrypt": False}, backup_settings())


def test_where_encryption_is_required_no_package_in_clear_is_restored(
    shelf: Shelf, configure: Callable[..., None]
) -> None:
    """Its first bytes decide, not what its sidecar says."""
    clear = shelf.put()
    configure(REQUIRE_ENCRYPTION=True)

    with pytest.raises(NotEncrypted):
        bring(shelf)
    assert nothing_copied(shelf)
    alone = shelf.folder / "alone.tar.zst"
    alone.write_bytes((shelf.folder / "first" / NAME).read_bytes())
    with pytest.raises(NotEncrypted):
        bring(shelf, str(alone))
    pretending: Sidecar = replace(clear, encrypted=True)
    shelf.spoil(clear.file_name, pretending.to_json())
    with pytest.raises(NotEncrypted):
        bring(shelf)
