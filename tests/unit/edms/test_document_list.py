"""The list of documents: sorted, filtered, and as a file for spreadsheets."""

import csv
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from edms.documents.models import Document
from edms.pages.document_list import harmless
from tests.unit.edms.conftest import Demo


def numbers(demo: Demo, query: str, name: str = "dan") -> list[str]:
    page = demo.browser(name).get(f"/documents/?{query}").context["page"]
    return [document.document_number for document in page]


def exported(demo: Demo, query: str = "", name: str = "dan") -> list[list[str]]:
    answer = demo.browser(name).get(f"/documents/export.csv?{query}")
    text = b"".join(answer.streaming_content).decode("utf-8-sig")  # type: ignore[attr-defined]  # of a stream
    return list(csv.reader(text.splitlines()))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("author=eva&state=draft", ["POL-2026-0001"]),
        ("author=eva&sort=-number", ["WI-2026-0001", "POL-2026-0001"]),
        ("type=SOP&sort=-changed", ["SOP-2026-0001", "SOP-2025-0001", "SOP-2024-0001"]),
        ("type=SOP&sort=state", ["SOP-2026-0001", "SOP-2025-0001", "SOP-2024-0001"]),
        ("author=nobody", []),
        ("sort=password", []),
        ("since=yesterday", []),
    ],
)
def test_the_list_is_filtered_by_author_and_sorted(
    demo: Demo, query: str, expected: list[str]
) -> None:
    assert numbers(demo, query) == expected


def test_both_days_of_a_period_belong_to_it(demo: Demo) -> None:
    changed = demo.document("SOP-2026-0001").updated_at
    day, before, after = (changed.date() + timedelta(days=days) for days in (0, -1, 1))
    assert numbers(demo, f"since={day}&until={day}") == ["SOP-2026-0001"]
    assert numbers(demo, f"type=SOP&since={after}") == []
    assert numbers(demo, f"type=SOP&until={before}") == ["SOP-2024-0001", "SOP-2025-0001"]


def test_a_column_is_sorted_the_other_way_by_a_second_click(demo: Demo) -> None:
    client = demo.browser("ada")
    assert "?type=SOP&amp;sort=title" in client.get("/documents/?type=SOP").content.decode()
    page = client.get("/documents/?type=SOP&sort=title").content.decode()
    assert 'aria-sort="ascending"><a href="?type=SOP&amp;sort=-title"' in page


def test_my_drafts_are_one_click_away_for_whoever_writes(demo: Demo) -> None:
    link = "?author=eva&amp;state=draft"
    assert link in demo.browser("eva").get("/documents/").content.decode()
    assert "My drafts" not in demo.browser("finn").get("/documents/").content.decode()


def test_the_file_has_the_rows_of_the_list_and_no_others(demo: Demo) -> None:
    head, *rows = exported(demo, "type=SOP&sort=-number", name="finn")
    assert head[:4] == ["Number", "Title", "Type", "State"]
    assert [row[0] for row in rows] == ["SOP-2025-0001", "SOP-2024-0001"]
    assert rows[0][3:6] == ["Effective", "ada", "Quality assurance"]
    assert exported(demo, "state=none", name="finn") == [head]


def test_a_long_list_is_read_in_one_query(demo: Demo) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            lines.append(len(exported(demo)))
        return len(captured)

    lines: list[int] = []
    before = queries()
    call_command("generate_documents", documents=100, users=5, verbosity=0)
    assert queries() == before
    assert lines == [6, 106]


@pytest.mark.parametrize(
    ("typed", "written"),
    [
        ("=1+1", "'=1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("  -5", "  '-5"),
        ("\t=1", "\t'=1"),
        ("harmless;=1+1", "harmless;'=1+1"),
        ("\uff1d1", "'\uff1d1"),
        ("Ænderung – 5 = 5", "Ænderung – 5 = 5"),
    ],
)
def test_a_title_is_no_formula(demo: Demo, typed: str, written: str) -> None:
    assert harmless(typed) == written
    Document.objects.filter(document_number="SOP-2025-0001").update(title=typed)
    assert written.strip() in [row[1].strip() for row in exported(demo)]
