"""The index in the database says what the stores hold; what is odd in a store stops nobody."""

from __future__ import annotations

import json

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from backup_tasks.models import Package
from backup_tasks.storage import catalogue
from tests.services import Project
from tests.unit.catalog.conftest import NAME, Shelf
from tests.unit.package.test_sidecar_fields import ODD


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest) -> str:
    """What a column can hold depends on the database."""
    name: str = request.param
    return name


def indexed() -> set[tuple[str, str]]:
    return set(Package.objects.values_list("store", "name"))


def test_no_odd_sidecar_keeps_the_others_out_of_the_index(
    on_project: Project, shelf: Shelf
) -> None:
    """Labels with NUL, numbers of 31 digits, dates of the year 1: nothing of it is entered."""
    good = shelf.put()
    values = json.loads(good.to_json())
    for number, (field, value) in enumerate(ODD):
        odd = {**values, "name": f"odd-{number}.tar.zst", field: value}
        shelf.spoil(f"odd-{number}.json", json.dumps(odd).encode())
        shelf.spoil(f"odd-{number}.tar.zst", bytes(good.size))

    (found,) = catalogue.refresh()
    assert (found.store, found.sidecar) == ("first", good)

    assert indexed() == {("first", NAME)}
    assert len(catalogue.read().broken) == len(ODD)


def test_everything_at_its_limit_is_entered(on_project: Project, shelf: Shelf) -> None:
    name = "n" * 225 + ".tar.zst"
    largest = shelf.put(
        name=name,
        label="ü" * 64,
        project="p" * 100,
        host="h" * 255,
        created_at="2999-12-31T23:59:59.999999+00:00",
    )

    catalogue.refresh()

    row = Package.objects.get()
    assert (row.name, row.label, row.created_at) == (name, "ü" * 64, largest.moment)


def test_of_two_packages_of_one_name_the_index_has_the_one_that_is_found(
    on_project: Project, shelf: Shelf
) -> None:
    shelf.put(into="second", created_at="2027-01-01T00:00:00+00:00")
    first = shelf.put(into="first")

    catalogue.refresh()

    assert indexed() == {("first", NAME)}
    assert Package.objects.get().sha256 == catalogue.find(NAME)[1].sha256 == first.sha256


def test_a_store_that_cant_be_read_keeps_what_the_index_knows_of_it(
    on_project: Project, shelf: Shelf
) -> None:
    shelf.put(into="first", name="one.tar.zst")
    shelf.put(into="second", name="two.tar.zst")
    catalogue.refresh()
    (shelf.folder / "first").rename(shelf.folder / "away")
    (shelf.folder / "first").write_bytes(b"")
    (shelf.folder / "second" / "two.json").unlink()

    catalogue.index(catalogue.read())

    assert indexed() == {("first", "one.tar.zst")}


def test_the_index_is_written_as_a_set_however_many_packages_there_are(
    on_project: Project, shelf: Shelf
) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            catalogue.refresh()
        return len(captured)

    shelf.put()
    catalogue.refresh()
    few = queries()
    for number in range(30):
        shelf.put(name=f"more-{number}.tar.zst")

    assert queries() == few
    assert len(indexed()) == 31
