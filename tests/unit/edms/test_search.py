"""Full text search: what is found, how it is ranked, and that the index follows the documents."""

import pytest
from django.core.files.base import ContentFile
from django.core.management import call_command
from django.db import connection, transaction

from edms.documents.models import Document, SearchText, Tag
from edms.documents.search import search, snippets
from edms.documents.services import add_version
from tests.unit.edms.conftest import Demo


def found(demo: Demo, text: str, name: str = "dan") -> list[str]:
    page = demo.browser(name).get("/documents/", {"q": text}).context["page"]
    return [document.document_number for document in page]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("WI-2026-0001", ["WI-2026-0001"]),
        ("wi 2026", ["WI-2026-0001"]),
        ("calib scal", ["WI-2026-0001"]),
        ("LABORATORY", ["WI-2026-0001"]),  # a tag
        ("practised information", ["POL-2026-0001"]),  # description and title
        ("version 0.1 calibration", ["WI-2026-0001"]),  # in the text file alone
        ("calibration policy", []),  # each word, in one document
        ('\' OR "a" & b:* | !c', []),
        ("!!!", []),
    ],
)
def test_every_word_is_found_by_its_beginning(demo: Demo, text: str, expected: list[str]) -> None:
    assert found(demo, text) == expected


def test_nobody_finds_what_is_closed_to_them(demo: Demo) -> None:
    assert found(demo, "security", name="eva") == ["POL-2026-0001"]
    assert found(demo, "security", name="finn") == []


def test_a_match_in_the_title_comes_before_one_in_the_text(demo: Demo) -> None:
    policy = demo.document("POL-2026-0001")
    file = ContentFile("Scales, scales, and more. Größe <b>matters</b>.\n".encode(), name="p.txt")
    add_version(policy, file, demo.user("eva"))
    assert found(demo, "scales") == ["WI-2026-0001", "POL-2026-0001"]
    assert found(demo, "größe") == ["POL-2026-0001"]


def test_a_snippet_shows_the_words_and_no_markup_of_the_file(demo: Demo) -> None:
    policy = demo.document("POL-2026-0001")
    file = ContentFile(b"x" * 300 + b" <script>alert(1)</script> end\n", name="p.txt")
    add_version(policy, file, demo.user("eva"))
    page = demo.browser("eva").get("/documents/?q=alert").content.decode()
    assert "&lt;script&gt;<mark>alert</mark>(1)" in page
    pieces = snippets([policy], "alert")[policy.pk]
    assert (pieces[0].text, sum(len(piece.text) for piece in pieces) < 250) == ("… ", True)


def test_the_index_follows_titles_tags_and_deletions(demo: Demo) -> None:
    policy = demo.document("POL-2026-0001")
    policy.title, policy.description = "Zebra crossing", ""
    policy.save()
    assert (found(demo, "zebra"), found(demo, "information")) == (["POL-2026-0001"], [])
    tag = Tag.objects.create(name="giraffe")
    policy.tags.add(tag)
    assert found(demo, "giraffe") == ["POL-2026-0001"]
    tag.name = "okapi"
    tag.save()
    assert (found(demo, "okapi"), found(demo, "giraffe")) == (["POL-2026-0001"], [])
    Tag.objects.filter(name="okapi").delete()
    assert found(demo, "okapi") == []
    policy.tags.add(Tag.objects.create(name="okapi"))
    policy.tags.clear()
    assert found(demo, "okapi") == []
    policy.dependents.all().delete()
    policy.delete()
    assert found(demo, "zebra") == []


def test_it_can_be_made_anew(demo: Demo) -> None:
    rows = list(SearchText.objects.values())
    SearchText.objects.all().delete()
    assert found(demo, "calibration") == []
    call_command("rebuild_search", verbosity=0)
    assert list(SearchText.objects.values()) == rows
    assert found(demo, "calibration") == ["WI-2026-0001"]


def test_the_databases_own_index_is_used(demo: Demo) -> None:
    call_command("generate_documents", documents=500, users=5, verbosity=0)
    if connection.vendor == "postgresql":
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
            plan = search(Document.objects.all(), "calibration of").explain()
        assert "Index Scan on documents_search " in plan
    assert found(demo, "WI-2026-0001 calibration") == ["WI-2026-0001"]
