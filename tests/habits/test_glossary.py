"""The glossary names modules that exist, and the code uses no word that it replaced."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from tests.habits.pages import ROOT, Page, coded, page, pages, rows

APP = ROOT / "backup_tasks"
GLOSSARY = page("docs/reference/glossary.md")
TERMS = {cells[0]: cells for cells in rows(GLOSSARY.text)}

REPLACED = {
    "leavings": "orphan",
    "meanwhile": "concurrent writes",
    "into_live": "promote",
    "placement": "file swap",
    "place": "staging schema",
    "places": "staging schema",
    "standing_in": "staging schema",
    "patience": "lock retry",
    "exchange": "rename swap",
    "boundaries": "foreign keys across the swap",
    "suspension": "deferred constraints",
    "wire": "value encoding",
    "finishing": "value encoding",
    "shape": "codec",
    "shapes": "codec",
    "slot": "line",
    "slots": "line",
    "helper": "worker pool",
    "helpers": "worker pool",
    "ground": "dialect",
    "joined": "mapped model",
    "stubs": "referenced keys",
}
"""Words of this project's own → the term that replaced each. An identifier may not have one among
the words that it is made of."""

ALSO_A_TERM = {"slot": ("ledger", "runs", "models.py", "status/schedules.py", "tasks.py")}
"""A replaced word that is the term for another thing, and where it is."""

IN_PROSE = re.compile(
    r"\b(leavings|meanwhile|into_live|placement|stand(?:s|ing)? in|patience|suspension|helpers?"
    r"|finishing|stubs)\b",
    re.IGNORECASE,
)
"""Those of these words that can't mean anything else in a sentence of the docs."""

HISTORY = ("CHANGELOG.md", "docs/adr/0019-rooms.md", "docs/evidence.md")
"""Pages that tell of what was, or of other projects."""

PAGES = [each for each in pages() if str(each) not in HISTORY]

MODULES = sorted(path for path in APP.rglob("*.py") if "migrations" not in path.parts)


def _identifiers(path: Path) -> Iterator[str]:
    yield path.stem
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.alias(name=name):
                yield name
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
                yield name
            case ast.keyword(arg=str(name)):
                yield name


def _words(identifier: str) -> set[str]:
    """Return the words that an identifier is made of, and the pairs of neighbours."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", identifier).lower()
    words = [word for word in re.split(r"[_.]", spaced) if word]
    return {*words, *(f"{one}_{two}" for one, two in pairwise(words))}


def _is_below(path: Path, rooms: Sequence[str]) -> bool:
    return any(path.is_relative_to(APP / room) for room in rooms)


@pytest.mark.parametrize("term", sorted(TERMS))
def test_every_module_that_the_glossary_names_exists(term: str) -> None:
    _, meaning, where, _ = TERMS[term]

    assert meaning.endswith(".")
    assert coded(where)
    assert [path for path in coded(where) if not (APP / path).exists()] == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(APP)))
def test_no_identifier_is_a_word_that_the_glossary_replaced(path: Path) -> None:
    allowed = {word for word, where in ALSO_A_TERM.items() if _is_below(path, where)}
    replaced = set(REPLACED) - allowed
    found = {
        name: [REPLACED[word] for word in _words(name) if word in replaced]
        for name in _identifiers(path)
        if not name.startswith("__")
    }

    assert {name: say for name, say in found.items() if say} == {}


@pytest.mark.parametrize("of", PAGES, ids=str)
def test_no_page_says_a_word_that_the_glossary_replaced(of: Page) -> None:
    sentences = re.sub(r"`[^`\n]+`", "", of.prose)

    assert IN_PROSE.findall(sentences) == []


def test_words_are_found_inside_identifiers() -> None:
    assert _words("_into_live_tables") & set(REPLACED) == {"into_live"}
    assert _words("WireForm") & set(REPLACED) == {"wire"}
    assert _words("background") & set(REPLACED) == set()
    assert _words("replace") & set(REPLACED) == set()


def test_a_replaced_word_is_used_elsewhere_only_as_a_term() -> None:
    assert set(ALSO_A_TERM) <= set(TERMS) & set(REPLACED)


def test_what_replaced_a_word_is_a_term() -> None:
    assert {term for term in REPLACED.values() if term not in TERMS} == set()


def test_it_is_one_word_for_one_thing() -> None:
    terms = [name.strip() for term in TERMS for name in term.split(",")]

    assert len(terms) > 80
    assert len(terms) == len(set(terms))
