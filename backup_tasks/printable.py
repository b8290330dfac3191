"""How what others wrote is shown: names of files, texts from a package or a database."""

from __future__ import annotations

_MOST = 400
"""Characters of a text from a package that a message shows."""


def printable(text: str, *, keep: str = "") -> str:
    """Return a text as a terminal, a page, JSON and the columns of any database can take it: what
    can't be printed, half a character included, is written as an escape. Not so what is in `keep`.
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or char in keep else char.encode("unicode_escape").decode()
        for char in text
    )


def shown(text: str) -> str:
    """Return a text that somebody else wrote so, and the middle of a long one left out."""
    if len(text) > _MOST:
        text = f"{text[: _MOST // 2]}…{text[-_MOST // 2 :]}"
    return printable(text)
