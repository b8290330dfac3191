"""Plain text tables for a person at a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from backup_tasks.ledger.report import Report

_MOMENTS = (
    ("before", "before"),
    ("after_reinit", "after reinit"),
    ("after", "after"),
    ("expected", "expected"),
)


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1) -> str:
    """Return a table; the first `left` columns are aligned left, the others right."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        padded = (
            cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return "  ".join(padded).rstrip()

    return "\n".join([line(head), line(["-" * width for width in widths]), *map(line, rows)])


def counts_table(report: Report) -> str:
    """Return the counts per model and of the files, or "" where nothing was counted.

    Columns that no step has figures for are left out; `digest` says whether the content is equal.
    """
    named = {**dict(sorted(report["models"].items())), "files": report["files"]}
    moments = [
        (key, title)
        for key, title in _MOMENTS
        if any(figures[key] is not None for figures in named.values())  # type: ignore[literal-required]  # keys of Figures
    ]
    if not moments:
        return ""
    proven = any(figures["digest_equal"] is not None for figures in named.values())
    rows = []
    for name, figures in named.items():
        cells = [_number(figures[key]) for key, _ in moments]  # type: ignore[literal-required]  # keys of Figures
        rows.append([name, *cells, *([_yes_no(figures["digest_equal"])] if proven else [])])
    head = ["model", *(title for _, title in moments), *(["digest equal"] if proven else [])]
    return table(head, rows)


def second_look_line(report: Report) -> str:
    """Return what the database's own sums say of the restored rows, or "" where none were compared.
    Runs from before there were sums have none."""
    look = report.get("second_look")
    if not look:
        return ""
    models = f"{look['equal']} model{'' if look['equal'] == 1 else 's'}"
    others = len(look["not_compared"])
    more = f"; {others} could not be compared (another database, or other columns)"
    return f"second look: the database's own sums are equal, {models}{more if others else ''}"


def added_lines(added: Mapping[str, str]) -> list[str]:
    """Return a line for each model that was not named and is needed: its name, and why."""
    return [f"also {name}: {why}" for name, why in sorted(added.items())]


def size_text(size: int) -> str:
    """Return a size in bytes as a person reads it, for example `3.7 MB`."""
    amount, unit = float(size), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if amount < 1000:
            break
        amount, unit = amount / 1000, larger
    return f"{amount:.1f} {unit}" if unit != "B" else f"{size} B"


def _number(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"


def _yes_no(value: bool | None) -> str:
    return "–" if value is None else "yes" if value else "NO"
