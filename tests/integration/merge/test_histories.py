"""A merge of ids in columns that are no foreign keys: histories, audit trails, the admin's log."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.contenttypes.models import ContentType
from django.test import override_settings

from backup_tasks.management.merge_plan import merge_text
from tests.acceptance.merging import merge, rehearse
from tests.commonapps.models import Article, AuditTrail, HistoricalArticle
from tests.integration.merge.conftest import OnProject

Packed = Callable[[Callable[[], None]], Path]

on_sqlite = pytest.mark.parametrize("engine", ["sqlite"])


def write(*slugs: str) -> None:
    for slug in slugs:
        article = Article.objects.create(slug=slug)
        HistoricalArticle.objects.create(id=article.pk, slug=slug)
        LogEntry.objects.create(
            user=get_user_model().objects.get(username="admin"),
            content_type=ContentType.objects.get_for_model(Article),
            object_id=str(article.pk),
            object_repr=slug,
            action_flag=1,
        )


def owners() -> dict[str, str | None]:
    """Whose history each row is, and each line of the admin's log."""
    slugs = dict(Article.objects.values_list("pk", "slug"))
    found = {f"history {row.slug}": slugs.get(row.id) for row in HistoricalArticle.objects.all()}
    return found | {
        f"log {entry.object_repr}": slugs.get(int(entry.object_id or 0))
        for entry in LogEntry.objects.all()
    }


def own(*slugs: str) -> dict[str, str]:
    return {f"{kind} {slug}": slug for kind in ("history", "log") for slug in slugs}


def test_a_history_keeps_its_owner(packed: Packed, on_new_project: OnProject) -> None:
    package = packed(lambda: write("one", "two"))
    with on_new_project():
        write("own")
        HistoricalArticle.objects.update(history_id=700)  # another number than the package's
        LogEntry.objects.update(id=700)

        merge(package)

        assert owners() == own("one", "two", "own")


@on_sqlite
def test_the_history_of_a_deleted_row_becomes_that_of_no_other(
    packed: Packed, on_new_project: OnProject
) -> None:
    def write_and_delete() -> None:
        write("one", "two")
        Article.objects.filter(slug="one").delete()

    package = packed(write_and_delete)
    with on_new_project():
        write("own")
        HistoricalArticle.objects.update(history_id=700)
        LogEntry.objects.update(id=700)

        merge(package)

        assert owners() == own("two", "own") | {"history one": None, "log one": None}


def trail(code: str, article: Article) -> None:
    AuditTrail.objects.create(
        code=code,
        content_type=ContentType.objects.get_for_model(Article),
        object_pk=str(article.pk),
        article_id=article.pk,
        changes={"article": article.pk, "text": {"article": article.pk}},
    )


def test_ids_that_become_stale_are_counted_by_column_and_mapped_if_a_setting_says_so(
    packed: Packed, on_new_project: OnProject
) -> None:
    def fill() -> None:
        trail("theirs", Article.objects.create(slug="theirs"))

    package = packed(fill)
    with on_new_project():
        Article.objects.create(slug="own")

        plan = rehearse(package)
        assert plan["stale_keys"] == [
            {"column": f"commonapps.audittrail.{name}", "target": "commonapps.article", "rows": 1}
            for name in ("object_pk", "article_id", "changes.article")
        ]
        assert "commonapps.audittrail.article_id: 1 rows hold primary keys" in merge_text(plan)

        columns = {
            "commonapps.AuditTrail.object_pk": "content_type",
            "commonapps.AuditTrail.article_id": "commonapps.Article",
        }
        with override_settings(BACKUP={**settings.BACKUP, "KEY_COLUMNS": columns}):
            plan = merge(package).report["merge"]

        assert [stale["column"] for stale in plan["stale_keys"]] == [
            "commonapps.audittrail.changes.article"
        ]
        article, row = Article.objects.get(slug="theirs"), AuditTrail.objects.get()
        assert article.pk != row.changes["article"]
        assert (row.object_pk, row.article_id) == (str(article.pk), article.pk)


@on_sqlite
def test_a_column_that_is_known_can_be_left_as_it_is(
    packed: Packed, on_new_project: OnProject
) -> None:
    package = packed(lambda: write("one"))
    with on_new_project():
        Article.objects.create(slug="own")
        columns = {"admin.LogEntry.object_id": None}
        with override_settings(BACKUP={**settings.BACKUP, "KEY_COLUMNS": columns}):
            plan = merge(package).report["merge"]

        assert owners() == {"history one": "one", "log one": "own"}
        assert [stale["column"] for stale in plan["stale_keys"]] == ["admin.logentry.object_id"]
