"""The page of the audit trail: every entry once, on whatever page, in a piece of an index."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from edms.audit.models import AuditEntry
from edms.pages.audit_page import PER_PAGE, AuditPage
from tests.unit.edms.conftest import Demo


def page_of(client: Client, query: str = "") -> AuditPage:
    answer = client.get(f"/audit/?{query}")
    assert answer.status_code == 200
    page: AuditPage = answer.context["page"]
    return page


@pytest.fixture
def many(demo: Demo) -> list[int]:
    """Entries of a few moments, most of which several share; their keys, the newest first."""
    entry: AuditEntry = AuditEntry.objects.order_by("-at")[0]
    start = entry.at
    for row in range(230):
        values: dict[str, Any] = {"at": start + timedelta(microseconds=row // 60)}
        AuditEntry.objects.create(
            content_type=entry.content_type, object_id="1", object_name=str(row),
            action="changed", **values,
        )  # fmt: skip
    return list(AuditEntry.objects.order_by("-at", "-pk").values_list("pk", flat=True))


def test_who_may_not_see_it_is_refused_and_has_no_link(demo: Demo) -> None:
    finn, hana = demo.browser("finn"), demo.browser("cleo")
    assert finn.get("/audit/").status_code == 403
    assert "Audit trail</a>" not in finn.get("/").content.decode()
    assert "Audit trail</a>" in hana.get("/").content.decode()


def test_each_entry_is_on_one_page_in_both_directions(demo: Demo, many: list[int]) -> None:
    """Also where a moment has more entries than a page."""
    client = demo.browser("cleo")
    page, seen = page_of(client), []
    assert not page.has_newer
    while True:
        seen += [entry.pk for entry in page.entries]
        if not page.has_older:
            break
        page = page_of(client, f"older={page.last}")
    assert seen == many

    page, seen = page_of(client, "end"), []
    assert not page.has_older
    while True:
        seen = [entry.pk for entry in page.entries] + seen
        if not page.has_newer:
            break
        page = page_of(client, f"newer={page.first}")
    assert seen == many


def test_links_keep_the_filters_and_lead_there_and_back(demo: Demo, many: list[int]) -> None:
    client = demo.browser("cleo")
    html = client.get("/audit/?action=changed").content.decode()
    older = re.search(r'rel="next" href="([^"]+)"', html)
    assert older is not None
    assert older[1].startswith("?action=changed&")
    second = client.get(f"/audit/{older[1]}".replace("&amp;", "&"))
    newer = re.search(r'rel="prev" href="([^"]+)"', second.content.decode())
    assert newer is not None
    back = client.get(f"/audit/{newer[1]}".replace("&amp;", "&")).context["page"]
    assert back.entries == client.get("/audit/?action=changed").context["page"].entries


@pytest.mark.parametrize(
    "place",
    ["1", "~1", "2026-02-30T00:00:00Z~1", "2026-01-01~1", "2026-01-01T00:00:00Z~x", "x" * 5000],
)
def test_a_place_that_is_none_shows_the_first_page(demo: Demo, place: str) -> None:
    assert page_of(demo.browser("cleo"), f"older={place}").has_newer is False


def test_it_is_narrowed_by_document_kind_action_person_and_day(demo: Demo) -> None:
    client = demo.browser("cleo")
    document = demo.document("WI-2026-0001")
    names = {entry.object_name for entry in page_of(client, "document=WI-2026-0001").entries}
    assert names == {str(document)}
    actors = {entry.actor for entry in page_of(client, "actor=eva").entries}
    assert actors == {demo.user("eva")}
    kinds = page_of(client, f"kind={AuditEntry.objects.earliest('at').content_type_id}").entries
    assert len({entry.content_type for entry in kinds}) == 1
    for nothing in ("document=none", "until=2001-01-01", "action=deleted", "kind=9999", "actor=x"):
        assert page_of(client, nothing).entries == [], nothing


def test_no_page_counts_and_each_reads_one_index_in_order(demo: Demo, many: list[int]) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("EXPLAIN of SQLite says it in one word.")
    place = AuditEntry.objects.order_by("-at", "-pk")[100]
    for query in ("", "action=changed", "actor=1"):
        entries = AuditEntry.objects.order_by("-at", "-pk")
        if query:
            field, value = query.split("=")
            entries = entries.filter(**{field: value})
        plan = entries.filter(at__lte=place.at)[: PER_PAGE + 1].explain()
        assert "USING INDEX audit_" in plan
        assert "TEMP B-TREE" not in plan
