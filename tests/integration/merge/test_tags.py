"""A merge of tagged rows: generic keys that are part of natural keys and of unique columns."""

from collections.abc import Callable
from pathlib import Path

import pytest

from backup_tasks.errors import DoesNotFit
from tests.acceptance.merging import changes, merge
from tests.commonapps.models import Article, Mark, Stock, Tag, TaggedItem
from tests.integration.merge.conftest import OnProject

on_sqlite = pytest.mark.parametrize("engine", ["sqlite"])
Packed = Callable[[Callable[[], None]], Path]


def tag(article: Article, *names: str) -> None:
    for name in names:
        known, _ = Tag.objects.get_or_create(name=name, slug=f"the-{name}")
        TaggedItem.objects.create(tag=known, content_object=article)


def tags() -> set[tuple[str, str]]:
    return {(str(item.content_object), item.tag.name) for item in TaggedItem.objects.all()}


def fill() -> None:
    for slug, names in {"one": ["red", "blue"], "two": ["red"], "three": ["green"]}.items():
        tag(Article.objects.create(slug=slug), *names)


def test_tags_stay_with_what_they_belong_to(packed: Packed, on_new_project: OnProject) -> None:
    package = packed(fill)
    with on_new_project():
        # Given: other articles under the same primary keys, with the same tags
        for slug in ("own one", "own two", "one"):
            tag(Article.objects.create(slug=slug), "green", "red")
        own = tags()

        merge(package)

        assert tags() == own | {
            ("one", "red"), ("one", "blue"), ("two", "red"), ("three", "green"),
        }  # fmt: skip
        assert changes(merge(package).report["merge"]) == {}


@on_sqlite
def test_a_tag_of_a_row_that_is_gone_is_given_to_no_other_row(
    packed: Packed, on_new_project: OnProject
) -> None:
    def fill_and_delete() -> None:
        fill()
        Article.objects.filter(slug="one").delete()

    package = packed(fill_and_delete)
    with on_new_project():
        tag(Article.objects.create(slug="own one"), "green")

        report = merge(package).report["merge"]

        assert tags() == {
            ("own one", "green"), ("two", "red"), ("three", "green"),
            ("None", "red"), ("None", "blue"),
        }  # fmt: skip
        (warning,) = report["warnings"]
        assert "commonapps.taggeditem.object_id" in warning
        assert "commonapps.article that no row of the package has: 1." in warning


@on_sqlite
def test_a_natural_key_that_leads_back_to_its_own_model_is_refused_by_name(
    packed: Packed, on_new_project: OnProject
) -> None:
    def fill_and_tag_a_tagged_item() -> None:
        fill()
        TaggedItem.objects.create(
            tag=Tag.objects.get(name="red"), content_object=TaggedItem.objects.all()[0]
        )

    package = packed(fill_and_tag_a_tagged_item)
    with on_new_project():
        with pytest.raises(DoesNotFit) as raised:
            merge(package)

        assert raised.value.obj == "commonapps.taggeditem"
        assert "object_id" in raised.value.what
        assert "NATURAL_KEYS" in raised.value.hint
        assert tags() == set()


def mark(code: str, stock: Stock, place: int) -> None:
    Mark.objects.create(code=code, content_object=stock, place=place)


def marks() -> dict[str, tuple[str, int]]:
    return {each.code: (str(each.content_object), each.place) for each in Mark.objects.all()}


def test_generic_keys_that_are_uuids_follow_rows_that_have_another_uuid(
    packed: Packed, on_new_project: OnProject
) -> None:
    """The natural key is the code, and the generic key is part of a further unique constraint."""

    def fill() -> None:
        for number, code in enumerate(("a", "b")):
            mark(f"mark {code}", Stock.objects.create(code=code), number)

    package = packed(fill)
    with on_new_project():
        mark("own mark", Stock.objects.create(code="a"), 7)

        merge(package, on_conflict="target")

        assert marks() == {"mark a": ("a", 0), "mark b": ("b", 1), "own mark": ("a", 7)}
        assert Stock.objects.count() == 2


@on_sqlite
def test_a_row_that_is_marked_at_the_same_place_is_a_conflict(
    packed: Packed, on_new_project: OnProject
) -> None:
    package = packed(lambda: mark("theirs", Stock.objects.create(code="a"), 1))
    with on_new_project():
        mark("own", Stock.objects.create(code="a"), 1)

        plan = merge(package, on_conflict="target").report["merge"]

        (conflict,) = plan["models"]["commonapps.mark"]["conflicts"]
        assert conflict["what"] == (
            "another natural key, but a row of the target has the same content_type, object_id, "
            "place"
        )
        assert marks() == {"own": ("a", 1)}
