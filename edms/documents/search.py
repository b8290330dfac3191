"""Full text search: PostgreSQL's own, SQLite's FTS5; on MariaDB each word is looked for with LIKE.

A document is found if each word of the search is in it, as the beginning of a word (on MariaDB:
anywhere). There is no stemming and no list of words that are left out: numbers and names matter
more in controlled documents than grammar.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from django.db import connections, models
from django.db.models import Case, FloatField, Q, Value, When

from edms.documents.models import Document, SearchText

BEFORE, AFTER = 60, 140
"""Characters of a snippet around the first word that was found."""

# The expression of the index, character by character: see the migration that made it. The signs are
# those by which PostgreSQL's parser joins words (numbers with a sign, addresses) or leaves them out
# (markup): between words they separate.
VECTOR: Final = (
    "(setweight(to_tsvector('simple'::regconfig, translate("
    "documents_searchtext.number || ' '::text || documents_searchtext.title"
    ", '-_/.:<>&@+~=?#'::text, '              '::text)), 'A')"
    " || setweight(to_tsvector('simple'::regconfig, translate("
    "documents_searchtext.keywords, '-_/.:<>&@+~=?#'::text, '              '::text)), 'B')"
    " || setweight(to_tsvector('simple'::regconfig, translate("
    "documents_searchtext.body, '-_/.:<>&@+~=?#'::text, '              '::text)), 'D'))"
)


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A piece of a snippet."""

    text: str
    is_found: bool


def words_of(text: str) -> list[str]:
    """Return the words that are looked for, in small letters."""
    return [word.lower() for word in re.findall(r"[^\W_]+", text)]


def search(documents: "models.QuerySet[Document]", text: str) -> "models.QuerySet[Document]":
    """Return those of `documents` that have each word of `text`, with a `rank` to sort by."""
    words = words_of(text)
    if not words:
        return documents.none()
    vendor = connections[documents.db].vendor
    if vendor == "postgresql":
        query = " & ".join(f"{word}:*" for word in words)
        return _joined(
            documents,
            tables=["documents_searchtext"],
            where=[
                "documents_searchtext.document_id = documents_document.id",
                f"{VECTOR} @@ to_tsquery('simple', %s)",
            ],
            rank=f"ts_rank({VECTOR}, to_tsquery('simple', %s))",
            query=query,
            rank_params=[query],
        )
    if vendor == "sqlite":
        return _joined(
            documents,
            tables=["documents_search"],
            where=[
                "documents_search.rowid = documents_document.id",
                "documents_search MATCH %s",
            ],
            # FTS5 gives the best one the lowest number.
            rank="-bm25(documents_search, 8.0, 8.0, 4.0, 1.0)",
            query=" ".join(f'"{word}"*' for word in words),
            rank_params=[],
        )
    return _with_like(documents, words)


def snippets(found: Iterable[Document], text: str) -> dict[int, list[Piece]]:
    """Return a snippet for each document that has one of the words in its text, by primary key."""
    words = words_of(text)
    if not words:
        return {}
    pattern = re.compile(rf"(?<![^\W_])(?:{'|'.join(map(re.escape, words))})", re.IGNORECASE)
    texts = SearchText.objects.in_bulk([document.pk for document in found])
    made = {pk: _snippet(row, pattern) for pk, row in texts.items()}
    return {pk: pieces for pk, pieces in made.items() if pieces}


def _snippet(row: SearchText, pattern: "re.Pattern[str]") -> list[Piece]:
    for text in (row.body, row.keywords):
        first = pattern.search(text)
        if first is None:
            continue
        start, end = max(0, first.start() - BEFORE), first.end() + AFTER
        shown, pieces, done = text[start:end], [], 0
        for match in pattern.finditer(shown):
            pieces.append(Piece(text=shown[done : match.start()], is_found=False))
            pieces.append(Piece(text=match.group(), is_found=True))
            done = match.end()
        pieces.append(Piece(text=shown[done:], is_found=False))
        opening = [Piece(text="… ", is_found=False)] if start else []
        closing = [Piece(text=" …", is_found=False)] if end < len(text) else []
        return [*opening, *pieces, *closing]
    return []


def _joined(
    documents: "models.QuerySet[Document]",
    *,
    tables: list[str],
    where: list[str],
    rank: str,
    query: str,
    rank_params: list[str],
) -> "models.QuerySet[Document]":
    # An index of FTS5 is searched by its name as a table, which no expression of the ORM has. The
    # texts are constants of this module; what somebody typed is bound.
    return documents.extra(  # noqa: S610
        select={"rank": rank},
        select_params=rank_params,
        tables=tables,
        where=where,
        params=[query],
    )


def _with_like(
    documents: "models.QuerySet[Document]", words: list[str]
) -> "models.QuerySet[Document]":
    for word in words:
        documents = documents.filter(
            Q(search_text__number__icontains=word)
            | Q(search_text__title__icontains=word)
            | Q(search_text__keywords__icontains=word)
            | Q(search_text__body__icontains=word)
        )
    in_title = Q(search_text__title__icontains=words[0]) | Q(
        search_text__number__icontains=words[0]
    )
    return documents.annotate(
        rank=Case(When(in_title, then=Value(1.0)), default=Value(0.0), output_field=FloatField())
    )
