"""A selection refers to rows that were edited since: they are compared, and not replaced."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.merging import merge
from tests.commonapps.models import Book, Chapter, Link, Page
from tests.integration.merge.conftest import OnProject
from tests.integration.rows.transfer import run

Packed = Callable[[Callable[[], None]], Path]
ONLY_CHAPTERS = {"include": ["commonapps.Chapter"]}


def write() -> None:
    Chapter.objects.create(
        book=Book.objects.create(title="common", blurb="as packed"), name="theirs"
    )


@pytest.mark.parametrize("engine", ["sqlite"])
@pytest.mark.parametrize(("replace", "blurb"), [(False, "edited"), (True, "as packed")])
def test_a_merge_leaves_rows_that_it_only_refers_to_unless_asked(
    packed: Packed, on_new_project: OnProject, *, replace: bool, blurb: str
) -> None:
    package = packed(write)
    with on_new_project():
        Book.objects.create(title="own")
        Book.objects.create(title="common", blurb="edited")

        plan = merge(package, replace_referenced=replace, **ONLY_CHAPTERS).report["merge"]

        assert Chapter.objects.get().book.title == "common"
        assert Book.objects.get(title="common").blurb == blurb
        told = [line for line in plan["warnings"] if "commonapps.book" in line]
        assert len(told) == (not replace)
        assert plan["models"]["commonapps.book"]["kept"] == (not replace)


@pytest.mark.parametrize("engine", ["sqlite"])
def test_a_restore_says_where_it_can_not_prove_that_references_mean_the_same_rows(
    packed: Packed, on_new_project: OnProject
) -> None:
    def link(title: str) -> None:
        page = Page.objects.create(pk=1, path="0001", depth=1, title=title)
        Link.objects.create(pk=1, name="theirs", page=page)

    package = packed(lambda: link("packed"))
    with on_new_project():
        link("edited")

        done = run("restore", package=str(package), safety=False, include=["commonapps.Link"])

        assert Page.objects.get().title == "edited"
        (warning,) = [line for line in done.report["warnings"] if "commonapps.page" in line]
        assert "commonapps.link.page refers to commonapps.page" in warning
        assert "not proven" in warning
