"""Shows text that comes from outside: names of files, texts of a package or a database."""

from __future__ import annotations

_MOST = 400
"""Characters of a text from a package that a message shows."""


def printable(text: str, *, keep: str = "") -> str:
    """Return a text as a terminal, a page, JSON and the columns of any database can take it: what
    can't be printed, half a character included, is written as an escape. Not so what is in `keep`.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in keep else _escape(char) for char in text)


def _escape(char: str) -> str:
    """A name on a file system may be any bytes; one that is no UTF-8 is shown as the byte it is."""
    if "\udc80" <= char <= "\udcff":
        return f"\\x{ord(char) - 0xDC00:02x}"
    return char.encode("unicode_escape").decode()


def shown(text: str) -> str:
    """Return a text from outside like `printable`, with the middle of a long one left out."""
    if len(text) > _MOST:
        text = f"{text[: _MOST // 2]}…{text[-_MOST // 2 :]}"
    return printable(text)
