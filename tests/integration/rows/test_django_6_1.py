"""What Django 6.1 brought to models goes through every run: foreign keys that the database follows
when a row is deleted (DB_CASCADE and its like), and fields that Django 5.2 lacks.

`make matrix` runs this on Django 6.1; the lock file's Django skips it.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import django
import pytest
from django.apps import apps
from django.db import connection, models
from pytest_django import DjangoDbBlocker

from tests.acceptance.merging import changes, merge, working_on
from tests.django61.installed import installed, make_tables
from tests.integration.rows.transfer import Row, run, stored
from tests.services import MakeProject

pytestmark = pytest.mark.skipif(django.VERSION < (6, 1), reason="needs Django 6.1")

OnProject = Callable[[], AbstractContextManager[None]]


@pytest.fixture(scope="module", autouse=True)
def app() -> Iterator[None]:
    with installed():
        yield


@pytest.fixture
def on_new_project(
    engine: str, make_project: MakeProject, django_db_blocker: DjangoDbBlocker
) -> OnProject:
    """Call it for a context in which this process works on a project with the app's tables."""

    @contextmanager
    def work() -> Iterator[None]:
        with django_db_blocker.unblock(), working_on(make_project(engine)):
            make_tables()
            yield

    return work


def rows_of(name: str) -> Any:
    return apps.get_model("django61", name)._base_manager


def is_there(name: str) -> bool:
    """Whether the database has what the model needs."""
    return bool(apps.get_model("django61", name)._meta.can_migrate(connection))


def everything() -> dict[str, list[Row]]:
    """The rows of all tables of the app."""
    found: list[type[models.Model]] = [
        model for model in apps.get_app_config("django61").get_models() if is_there(model.__name__)
    ]
    return stored(found)


def write_library() -> None:
    """Fill the tables whose foreign keys the database follows."""
    first, ada, ben = (rows_of("Author").create(name=name) for name in ("first", "ada", "ben"))
    one = rows_of("Book").create(title="one", author=ada, editor=ben)
    two = rows_of("Book").create(title="two", author=ada, editor=first, sequel_of=one)
    rows_of("Book").create(title="three", author=ben, editor=ada)
    for book in (one, two):
        for number in (1, 2):
            rows_of("Chapter").create(book=book, number=number, heading=f"{book.title} {number}")
    if is_there("Loan"):
        rows_of("Loan").create(name="lent", of=ada)


def delete(name: str) -> None:
    """Delete an author; the database does the rest."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django61_author WHERE name = %s", [name])


def assert_the_database_follows() -> None:
    """Delete ada: her books and their chapters go, and who else knew her forgets her."""
    delete("ada")
    (three,) = rows_of("Book").all()
    assert (three.title, three.editor_id) == ("three", None)
    assert not rows_of("Chapter").exists()
    if is_there("Loan"):
        assert rows_of("Loan").get().of.name == "first"


def test_rows_that_the_database_deletes_go_through_drill_restore_and_undo(
    on_new_project: OnProject, tmp_path: Path
) -> None:
    package = str(tmp_path / "library.tar")
    with on_new_project():
        write_library()
        before = everything()
        run("backup", output=package)

        run("drill", package=package)
        assert everything() == before

        delete("ben")
        later = everything()
        assert later != before
        run("restore", package=package, safety=False)
        assert everything() == before

        run("undo")
        assert everything() == later
        assert_the_database_follows_what_is_left()

        run("restore", package=package, safety=False)
        assert everything() == before
        assert_the_database_follows()


def assert_the_database_follows_what_is_left() -> None:
    """After an undo, live's own tables are followed too."""
    delete("ada")
    assert not rows_of("Book").exists()
    assert not rows_of("Chapter").exists()


def test_authors_are_replaced_under_books_that_stay(
    on_new_project: OnProject, tmp_path: Path
) -> None:
    package = str(tmp_path / "library.tar")
    with on_new_project():
        write_library()
        before = everything()
        run("backup", output=package)
        rows_of("Author").update(born=1999)
        rows_of("Book").filter(title="three").update(title="four")
        rows_of("Chapter").filter(number=2).delete()
        later = everything()

        run("restore", package=package, safety=False, include=["django61.author"])

        label = "django61.author"
        assert everything() == {**later, label: before[label]}
        rows_of("Book").filter(title="four").update(title="three")
        assert_the_database_follows()


def test_a_merge_deletes_and_forgets_nothing(on_new_project: OnProject, tmp_path: Path) -> None:
    package = tmp_path / "library.tar"
    with on_new_project():
        write_library()
        before = by_name()
        run("backup", output=str(package))
    with on_new_project():
        # Given: other rows under the same keys, one that the package has with another author
        own = rows_of("Author").create(name="own")
        rows_of("Book").create(title="own", author=own, editor=own)
        rows_of("Book").create(title="two", author=own, editor=own)
        known = by_name()

        merge(package, on_conflict="package")

        assert by_name() == known | before
        assert changes(merge(package).report["merge"]) == {}
        assert_books_of_ada_go()


def by_name() -> dict[str, Any]:
    found: dict[str, Any] = {author.name: True for author in rows_of("Author").all()}
    for book in rows_of("Book").all():
        others = (book.editor and book.editor.name, book.sequel_of and book.sequel_of.title)
        found[f"book {book.title}"] = (book.author.name, *others)
    for chapter in rows_of("Chapter").all():
        found[chapter.heading] = (chapter.book.title, chapter.number)
    if is_there("Loan"):
        found |= {loan.name: loan.of.name for loan in rows_of("Loan").all()}
    return found


def assert_books_of_ada_go() -> None:
    delete("ada")
    assert sorted(book.title for book in rows_of("Book").all()) == ["own", "three"]
    assert not rows_of("Chapter").exists()


def write_values() -> None:
    """Fill the tables of the new fields."""
    json_null = models.JSONNull()  # type: ignore[attr-defined]  # mypy knows Django 5.2
    for name, value in {"sql": None, "json": json_null, "list": [1, None]}.items():
        rows_of("Note").create(name=name, data=value)
    for _ in range(2):
        rows_of("Opted").create(name="twin")
    if is_there("Virtual"):
        rows_of("Virtual").create(number=21)
    if is_there("Token"):
        rows_of("Token").create(name="given by the database")
    if is_there("Amount"):
        for text in ("1.10", "12345678901234567890.123456789", "-0.000000000001", "1E+20"):
            rows_of("Amount").create(exact=Decimal(text))


def test_new_fields_come_back_as_they_are_stored(on_new_project: OnProject, tmp_path: Path) -> None:
    package = str(tmp_path / "values.tar")
    with on_new_project():
        write_values()
        before = everything()
        done = run("backup", output=package)
        assert [line for line in done.report.get("warnings", []) if "natural key" in line] == []
        run("drill", package=package)

        for name in ("Note", "Opted", "Virtual", "Token", "Amount"):
            if is_there(name):
                rows_of(name).all().delete()
        run("restore", package=package, safety=False)

        assert everything() == before
        assert rows_of("Note").filter(data__isnull=True).get().name == "sql"
        if is_there("Virtual"):
            assert rows_of("Virtual").get().doubled == 42
            rows_of("Virtual").update(number=4)
            assert rows_of("Virtual").get().doubled == 8
        if is_there("Token"):
            rows_of("Token").create(name="another")
            assert rows_of("Token").values("token").distinct().count() == 2
        run("undo")
        assert not rows_of("Note").exists()


def test_new_fields_are_merged(on_new_project: OnProject, tmp_path: Path) -> None:
    package = tmp_path / "values.tar"
    with on_new_project():
        write_values()
        before = everything()
        run("backup", output=str(package))
    with on_new_project():
        merge(package)
        assert everything() == before
        assert changes(merge(package).report["merge"]) == {}
