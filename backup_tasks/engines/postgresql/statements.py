"""What a text of SQL would do to the transaction that it is sent in.

One text may hold several statements, and PostgreSQL executes what comes before a COMMIT for good.
So texts that could end a transaction are recognised before they are sent.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_CANDIDATE = re.compile(
    r"\b(?:begin|start|commit|end|rollback|abort|prepare|concurrently)\b", re.IGNORECASE
)
_TOKENS = re.compile(
    r"""
    --[^\n]* | /\*.*?\*/                            # comments; what is nested in one is looked at
  | [eE]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*'       # strings
  | "(?:[^"]|"")*"                                  # quoted names
  | \$(?P<tag>[A-Za-z_\x80-\uffff][\w\x80-\uffff]*)?\$ .*? \$(?(tag)(?P=tag))\$
  | (?P<word>[A-Za-z_\x80-\uffff][\w$\x80-\uffff]*)
  | (?P<end>;)
    """,
    re.VERBOSE | re.DOTALL,
)
_DROP = re.compile(r"\bDROP\b", re.IGNORECASE)
_TRANSACTION_KEYWORDS = frozenset({"BEGIN", "START", "COMMIT", "END", "ABORT"})
_CONCURRENTLY = re.compile(
    r"^(\s*(?:CREATE\s+(?:UNIQUE\s+)?INDEX|DROP\s+INDEX|REINDEX\s+\w+|REFRESH\s+MATERIALIZED\s+VIEW))"
    r"\s+CONCURRENTLY\b",
    re.IGNORECASE,
)


def transaction_control(text: str) -> str | None:
    """Return the statement of the text that would begin or end a transaction, in words; None if
    none would. Savepoints are none: SAVEPOINT, RELEASE, ROLLBACK TO."""
    if not _CANDIDATE.search(text):
        return None
    for words, _ in _statements(text):
        first, second = (*words, "", "")[:2]
        if first in _TRANSACTION_KEYWORDS or (first == "PREPARE" and second == "TRANSACTION"):
            return " ".join(filter(None, (first, second)))
        if first == "ROLLBACK" and "TO" not in words[1:3]:
            return " ".join(filter(None, (first, second)))
    return None


def without_concurrently(text: str) -> str:
    """Return the text without CONCURRENTLY, which keeps readers and writers going and needs to be
    outside of a transaction: nobody else reads or writes staging."""
    return _CONCURRENTLY.sub(r"\1", text)


def first_word(text: str) -> str:
    """Return the first word of the text, in capitals."""
    return next((words[0] for words, _ in _statements(text)), "")


def drops_if_exists(text: str) -> bool:
    """Whether a statement of the text is a DROP … IF EXISTS."""
    return bool(_DROP.search(text)) and any(
        words[0] == "DROP" and "IF" in words for words, _ in _statements(text)
    )


def split(text: str) -> list[str]:
    """Return the statements of the text, one by one."""
    return [statement for _, statement in _statements(text)]


def _statements(text: str) -> Iterator[tuple[list[str], str]]:
    """Yield of each statement its words, in capitals, at most those that tell what it is, and its
    text."""
    words: list[str] = []
    depth = begins = 0
    for token in _TOKENS.finditer(text):
        if token["end"] and depth == 0:
            if words:
                yield words, text[begins : token.start()]
            words, begins = [], token.end()
        elif word := (token["word"] or "").upper():
            # A body of SQL's own, BEGIN ATOMIC … END, holds statements, and CASE … END.
            if words and words[0] == "CREATE" and _may_have_body(words):
                if word == "BEGIN" or (word == "CASE" and depth):
                    depth += 1
                elif word == "END" and depth:
                    depth -= 1
            if len(words) < 5:
                words.append(word)
    if words:
        yield words, text[begins:]


def _may_have_body(words: list[str]) -> bool:
    return bool({"FUNCTION", "PROCEDURE"} & set(words[1:4]))
