"""Names first, in all stores; ids only of their form, and never across. No database is asked."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from backup_tasks.errors import Misconfigured, PackageDamaged, PackageNotFound, StorageRefused
from backup_tasks.package.signature import generate_key
from backup_tasks.storage import catalogue
from tests.unit.catalog.conftest import NAME, Shelf

STEM = NAME.removesuffix(".tar.zst")
LATER = "2027-01-01T00:00:00+00:00"


def found(name: str) -> tuple[str, str]:
    """The name and id of the package that is found."""
    _, sidecar = catalogue.find(name)
    return sidecar.name, sidecar.id


def test_a_package_is_found_by_its_name_its_stem_and_its_id(shelf: Shelf) -> None:
    sidecar = shelf.put(id="0123456789abcdef")

    for name in (NAME, STEM, sidecar.id):
        assert found(name) == (NAME, sidecar.id)


def test_a_foreign_package_whose_id_is_a_name_is_no_package(shelf: Shelf) -> None:
    """It was restored in place of the real one, with exit code 0."""
    real = shelf.put()
    for id in (NAME, STEM):
        with pytest.raises(PackageDamaged, match="16 hexadecimal digits"):
            shelf.put(name=f"foreign-{len(id)}.tar.zst", id=id, created_at=LATER)

    assert found(NAME) == found(STEM) == (NAME, real.id)


def test_a_sidecar_that_claims_a_name_as_its_id_is_broken(shelf: Shelf) -> None:
    real, foreign = shelf.put(), shelf.put(name="foreign.tar.zst", created_at=LATER)
    for name in (NAME, STEM):
        content = foreign.to_json().replace(foreign.id.encode(), name.encode())
        shelf.spoil("foreign.json", content)

        assert found(name) == (NAME, real.id)
        (odd,) = catalogue.read().broken
        assert (odd.store, odd.file_name) == ("first", "foreign.json")


def test_a_name_in_any_store_comes_before_an_id_in_another(shelf: Shelf) -> None:
    named = shelf.put(into="second", id="0" * 16)
    shelf.put(name="other.tar.zst", id="1" * 16, created_at=LATER)

    assert found(NAME) == (NAME, named.id)


def test_what_may_be_a_name_or_an_id_is_refused_with_both_names(shelf: Shelf) -> None:
    real = shelf.put(id="0123456789abcdef")
    shelf.put(name=f"{real.id}.tar.zst", id="f" * 16)

    with pytest.raises(PackageNotFound) as caught:
        catalogue.find(real.id)

    assert NAME in caught.value.what
    assert f"{real.id}.tar.zst" in caught.value.what
    assert found(f"{real.id}.tar.zst") == (f"{real.id}.tar.zst", "f" * 16)


def test_an_id_that_two_packages_have_is_refused_but_a_copy_is_none(shelf: Shelf) -> None:
    shelf.put(id="0123456789abcdef")
    shelf.put(into="second", id="0123456789abcdef")
    assert found("0123456789abcdef") == (NAME, "0123456789abcdef")

    shelf.put(name="twin.tar.zst", id="0123456789abcdef", label="other")

    with pytest.raises(PackageNotFound, match=r"twin\.tar\.zst"):
        catalogue.find("0123456789abcdef")


def test_where_keys_are_trusted_a_signed_package_comes_before_any_other(
    shelf: Shelf, configure: Callable[..., None]
) -> None:
    secret, public = generate_key()
    configure(TRUSTED_KEYS=[public])
    shelf.put(id="0" * 16, created_at=LATER)
    shelf.put(name="forged.tar.zst", id="1" * 16, created_at=LATER, key=generate_key()[0])
    signed = shelf.put(into="second", id="2" * 16, key=secret)

    assert found(NAME) == (NAME, signed.id)
    assert [package.trusted for package in catalogue.read().found] == [False, False, True]


def test_the_first_store_that_has_a_name_decides(shelf: Shelf) -> None:
    shelf.put(into="second", id="2" * 16)
    shelf.put(into="first", id="1" * 16)

    assert found(NAME) == (NAME, "1" * 16)


def test_a_broken_sidecar_in_one_store_hides_no_sound_one_in_another(shelf: Shelf) -> None:
    shelf.put(into="second")
    shelf.spoil(f"{STEM}.json")

    assert found(NAME)[0] == NAME
    shelf.spoil("other.json")
    with pytest.raises(PackageDamaged, match=r"other\.json has no"):
        catalogue.find("other")


def test_where_one_store_is_named_the_others_are_not_asked(shelf: Shelf) -> None:
    shelf.put(into="second", id="2" * 16)
    (shelf.folder / "first").write_bytes(b"")  # nothing in it can be listed

    for name in (NAME, "2" * 16):
        assert catalogue.find(name, store="second")[1].id == "2" * 16
    assert [each.store for each in catalogue.in_store("second")] == ["second"]
    with pytest.raises(StorageRefused):
        catalogue.in_store("first")
    with pytest.raises(Misconfigured, match="no store has this alias") as raised:
        catalogue.find(NAME, store="third")
    assert "first, second" in raised.value.hint


def test_a_store_that_cant_be_read_hides_no_package_of_the_others(shelf: Shelf) -> None:
    """The folder of the store is a file: nothing in it can be listed."""
    shelf.put(into="second")
    (shelf.folder / "first").write_bytes(b"")

    contents = catalogue.read()

    assert [package.sidecar.name for package in contents.found] == [NAME]
    assert list(contents.unread) == ["first"]
    assert found(NAME)[0] == NAME
    with pytest.raises(StorageRefused):  # it may be in the store that can't be read
        catalogue.find("f" * 16)


@pytest.mark.parametrize("name", ["nothing", "../work", "/etc/passwd", "\x1b[2J", "é" * 400, "."])
def test_what_no_store_holds_is_not_found_and_shown_as_it_can_be(shelf: Shelf, name: str) -> None:
    shelf.put()

    with pytest.raises(PackageNotFound) as caught:
        catalogue.find(name)

    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 600
