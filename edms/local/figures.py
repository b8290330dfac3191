"""The table that the demo ends with, and whether it shows what it should."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

EXPECTED = {
    "users.user": (10, 2, 10),
    "workflows.documentworkflow": (4, 0, 4),
    "documents.document": (5, 0, 5),
    "files": (5, 0, 5),
}
"""Of the demonstration data: before, after the reset, after the restore. Shown last."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """The rows of one model, or the files, at the three moments."""

    name: str
    before: int | None
    after_reinit: int | None
    after: int | None
    digest_equal: bool | None

    @property
    def moments(self) -> tuple[int | None, int | None, int | None]:
        return self.before, self.after_reinit, self.after


def lines_of(report: Mapping[str, Any], *, files_equal: bool) -> list[Line]:
    """One line per model that had rows at any moment, then the files; what EXPECTED names comes
    last, in its order.

    `report` is `Run.report`; `files_equal` says whether the files, hashed by other means than the
    run's own, are what they were.
    """
    files = {**report["files"], "digest_equal": files_equal}
    figures = {**report["models"], "files": files}
    order = list(EXPECTED)
    lines = [
        Line(
            name=name,
            before=figure["before"],
            after_reinit=figure["after_reinit"],
            after=figure["after"],
            digest_equal=figure["digest_equal"],
        )
        for name, figure in figures.items()
    ]
    return sorted(
        (line for line in lines if any(line.moments) or line.name.lower() in order),
        key=lambda line: (
            order.index(line.name.lower()) if line.name.lower() in order else -1,
            line.name,
        ),
    )


def table(lines: list[Line]) -> str:
    """The lines as text, a "?" where a figure is not known."""
    heads = ("model", "before", "after reinit", "after restore", "digest equal")
    rows = [
        (
            line.name,
            *("?" if count is None else str(count) for count in line.moments),
            {True: "yes", False: "NO", None: "?"}[line.digest_equal],
        )
        for line in lines
    ]
    widths = [max(len(row[column]) for row in (heads, *rows)) for column in range(len(heads))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in (heads, *rows)
    )


def problems(lines: list[Line], live: Mapping[str, int]) -> list[str]:
    """What does not hold, in words; empty when every figure does.

    `live` has the rows per model, and the files, that were counted in the live system after the
    run by other means than the run's own.
    """
    found = []
    for line in lines:
        name = line.name.lower()
        if line.before is None or line.after != line.before:
            found.append(f"{name}: {line.before} before, {line.after} after the restore")
        if line.digest_equal is not True:
            found.append(f"{name}: the restored content is not proven equal")
        if live.get(name) != line.before:
            found.append(f"{name}: {line.before} before, {live.get(name)} in the live system now")
    shown = {line.name.lower(): line.moments for line in lines}
    for name, wanted in EXPECTED.items():
        if shown.get(name) != wanted:
            found.append(f"{name}: {shown.get(name)}, where it should be {wanted}")
    return found
