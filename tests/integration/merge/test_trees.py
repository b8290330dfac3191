"""A merge into trees and lists, whose numbers mean something only together."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from django.conf import settings
from django.db import models
from django.test import override_settings

from backup_tasks.errors import DoesNotFit
from tests.acceptance.merging import merge, rehearse
from tests.commonapps.models import Book, Category, Chapter, Page, Song
from tests.integration.merge.conftest import OnProject

Packed = Callable[[Callable[[], None]], Path]

on_sqlite = pytest.mark.parametrize("engine", ["sqlite"])
"""The others show that the statements are PostgreSQL's too."""

TREE = [("root", None, 1, 6, 0), ("left", "root", 2, 3, 1), ("right", "root", 4, 5, 1)]


def grow(rows: Sequence[tuple[str, str | None, int, int, int]]) -> None:
    for name, parent, lft, rght, level in rows:
        Category.objects.create(
            name=name,
            parent=parent and Category.objects.get(name=parent),
            lft=lft,
            rght=rght,
            tree_id=1,
            level=level,
        )


def stored(model: "type[models.Model]") -> list[dict[str, object]]:
    return list(model._base_manager.order_by("pk").values())


def refused_with(package: Path, model: "type[models.Model]") -> str:
    """Merge; it must be refused with the model's name, before anything is written."""
    label, before = model._meta.label_lower, stored(model)
    (what,) = [
        conflict["what"]
        for conflict in rehearse(package, on_conflict="package")["models"][label]["conflicts"]
        if not conflict["decided"]
    ]
    assert "--exclude" in what
    assert "--mode exact" in what
    with pytest.raises(DoesNotFit) as raised:
        merge(package, on_conflict="package")
    assert f"{label}: {what}" in raised.value.what
    assert stored(model) == before
    return str(what)


@on_sqlite
def test_a_nested_set_is_not_merged_into_another(packed: Packed, on_new_project: OnProject) -> None:
    package = packed(lambda: grow(TREE))
    with on_new_project():
        grow([("own", None, 1, 2, 0)])

        what = refused_with(package, Category)

        assert "lft, rght, tree_id, level mean something only together" in what
        assert "mptt.models.MPTTModel" in what


@on_sqlite
def test_a_whole_tree_comes_into_an_empty_table_and_a_tree_that_is_there_already_stays(
    packed: Packed, on_new_project: OnProject
) -> None:
    package = packed(lambda: grow(TREE))
    with on_new_project():
        merge(package)
        columns = ("name", "parent__name", "lft", "rght", "level")
        assert list(Category.objects.order_by("lft").values_list(*columns)) == TREE

        # Given: the target has grown since, and nothing of the package would be written
        before = stored(Category)
        merge(package)
        assert stored(Category) == before
        Category.objects.create(name="more", lft=1, rght=2, tree_id=2, level=0)
        merge(package)
        assert Category.objects.count() == 4


@on_sqlite
def test_a_page_is_not_taken_for_another_at_the_same_path(
    packed: Packed, on_new_project: OnProject
) -> None:
    package = packed(lambda: _page(1, "0001", "theirs"))
    with on_new_project():
        _page(7, "0001", "own")

        what = refused_with(package, Page)

        assert "path, depth, numchild" in what


def _page(pk: int, path: str, title: str) -> None:
    Page.objects.create(pk=pk, path=path, depth=1, title=title)


def write(book: str, *chapters: str) -> None:
    of, _ = Book.objects.get_or_create(title=book)
    for name in chapters:
        Chapter.objects.create(book=of, name=name)


@on_sqlite
def test_lists_are_merged_if_each_comes_from_one_side(
    packed: Packed, on_new_project: OnProject
) -> None:
    def fill() -> None:
        write("theirs", "a", "b", "c")
        write("common", "d", "e")

    package = packed(fill)
    with on_new_project():
        write("own", "x", "y")
        write("common", "d")

        merge(package)

        assert list(
            Chapter.objects.order_by("book__title", "_order").values_list("book__title", "name")
        ) == [
            ("common", "d"), ("common", "e"),
            ("own", "x"), ("own", "y"),
            ("theirs", "a"), ("theirs", "b"), ("theirs", "c"),
        ]  # fmt: skip


def test_a_list_to_which_both_sides_have_added_is_refused(
    packed: Packed, on_new_project: OnProject
) -> None:
    package = packed(lambda: write("common", "a", "b"))
    with on_new_project():
        write("common", "a", "own")

        what = refused_with(package, Chapter)

        assert "_order within book" in what
        assert "order_with_respect_to" in what


@on_sqlite
def test_a_setting_names_other_columns(packed: Packed, on_new_project: OnProject) -> None:
    def sing(name: str) -> Callable[[], None]:
        def add() -> None:
            album, _ = Book.objects.get_or_create(title="album")
            Song.objects.create(album=album, track=1, name=name)

        return add

    package = packed(sing("theirs"))
    groups = {"commonapps.Song": ["album", "track"]}
    with on_new_project():
        sing("own")()
        with override_settings(BACKUP={**settings.BACKUP, "COLUMN_GROUPS": groups}):
            what = refused_with(package, Song)
            assert "track within album" in what
            assert "COLUMN_GROUPS" in what

        merge(package)
        assert Song.objects.count() == 2
