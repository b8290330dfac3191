"""Reads the documentation: its tables, code blocks and links."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"

_FENCE = re.compile(r"^```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
_INDENTED = re.compile(r"(?:^ {4,}\S.*\n?)+", re.MULTILINE)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_PROGRAMS = (".", "python", "make", "mkdir", "age", "zstd", "docker", "pip", "export", "(umask")
_CODE = re.compile(r"`([^`\n]+)`")


@dataclass(frozen=True, kw_only=True)
class Page:
    """One page of the documentation."""

    path: Path
    text: str

    def __str__(self) -> str:
        return str(self.path.relative_to(ROOT))

    @property
    def prose(self) -> str:
        """The text without its code blocks."""
        return _INDENTED.sub("", _FENCE.sub("", self.text))

    @property
    def links(self) -> list[str]:
        """The targets of all links and pictures."""
        return _LINK.findall(self.prose)

    @property
    def anchors(self) -> set[str]:
        """What a link to a heading of this page ends in."""
        return {slug(line.lstrip("#")) for line in self.prose.splitlines() if line[:1] == "#"}

    @property
    def codes(self) -> list[str]:
        """What stands between backticks in the text."""
        return _CODE.findall(self.prose)

    @property
    def code_lines(self) -> list[str]:
        """The lines of all code blocks, without their indentation."""
        blocks = [match["text"] for match in _FENCE.finditer(self.text)]
        blocks += _INDENTED.findall(_FENCE.sub("", self.text))
        return [line.strip() for block in blocks for line in block.splitlines()]

    @property
    def scripts(self) -> list[str]:
        """The indented code blocks that begin with a program, in their order, as the shell takes
        them: what a reader types."""
        blocks = map(textwrap.dedent, _INDENTED.findall(_FENCE.sub("", self.text)))
        return [block for block in blocks if block.split(maxsplit=1)[0] in _PROGRAMS]

    def fenced(self, kind: str) -> list[str]:
        """The code blocks of a kind."""
        return [match["text"] for match in _FENCE.finditer(self.text) if match["kind"] == kind]

    def section(self, title: str) -> str:
        """The text below a heading, up to the next one of its level or above."""
        match = re.search(rf"^(#+) {re.escape(title)}$", self.text, re.MULTILINE)
        assert match, f"{self} has no section {title!r}"
        rest = self.text[match.end() :]
        end = re.search(rf"^#{{1,{len(match[1])}}} ", rest, re.MULTILINE)
        return rest[: end.start()] if end else rest


def slug(heading: str) -> str:
    """Return the anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@cache
def page(path: str) -> Page:
    """Return the page at a path below the root of the repository."""
    return Page(path=ROOT / path, text=(ROOT / path).read_text(encoding="utf-8"))


def pages() -> list[Page]:
    """Return every page: those of `docs/`, and those at the top."""
    found = [*ROOT.glob("*.md"), *DOCS.rglob("*.md")]
    return [page(str(path.relative_to(ROOT))) for path in sorted(found)]


def rows(text: str) -> Iterator[list[str]]:
    """Yield the cells of each row of the tables in a text, without heads and rules."""
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if not line.startswith("|") or set(line) <= set("| -:"):
            continue
        following = lines[number + 1] if number + 1 < len(lines) else ""
        if following.startswith("| ---"):
            continue
        cells = re.split(r"(?<!\\)\|", line.removeprefix("|").removesuffix("|"))
        yield [cell.strip().replace(r"\|", "|") for cell in cells]


def coded(cell: str) -> list[str]:
    """Return what stands between backticks in a cell."""
    return _CODE.findall(cell)
