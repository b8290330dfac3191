"""Writes `docs/performance.md`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line of the table of figures."""

    what: str
    wall: float
    cpu: float | None = None
    peak: int | None = None
    size: int | None = None
    rows: int
    """How many rows it handled."""
    of: str = ""
    """Which data; empty for the whole of it."""


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A promise, and what was found."""

    figure: str
    bar: str
    found: str
    met: bool | None
    """None: not measured."""


@dataclass(frozen=True, kw_only=True)
class Findings:
    """All that a run found."""

    command: str
    machine: Sequence[tuple[str, str]]
    data: Sequence[str]
    lines: Sequence[Line]
    steps: Mapping[str, Mapping[str, float]]
    """By command: the seconds of each step."""
    bars: Sequence[Bar]
    notes: Sequence[str]


_INTRODUCTION = """\
# Performance

`{command}` wrote this page on {day}. No figure is edited by hand. Times of one machine say
little about another, but ratios do: both sides of a ratio were measured in the same run, one after
the other. Figures are medians of the repeats, and ratios are medians of the ratios of the repeats.
"""

_METHOD = """\
## How it was measured

- The real programs were started as an operator starts them: `create_backup` with
  zstd and age, `restore_from_package` without a safety backup, `pg_dump -Fc` and
  `pg_restore` over one connection, `dbbackup --compress --encrypt` with GnuPG,
  `dumpdata --all --natural-foreign --natural-primary` and `loaddata`. Wall time includes their
  start.
- The ledger recorded the times of single steps (dump, load, validate) in these runs. The dump
  includes counts, digests and the check that natural keys are unique. The load includes indexes,
  foreign keys, sequences and new statistics for the planner, which `pg_restore` leaves to
  `autovacuum`. The validation reads every row again.
- CPU time is that of all processes, including the database server's. Peak memory is that of the
  largest process, without the server's.
- `dumpdata` and `loaddata` were given a sample, since all of the data would take hours. Their
  figures for all of the data are computed from their rate on the sample.
- Each repeat starts with a fresh copy of the database.
"""


def written(findings: Findings) -> str:
    """Return the page's Markdown."""
    day = datetime.now(UTC).date().isoformat()
    parts = [
        _INTRODUCTION.format(command=findings.command, day=day),
        "## Machine and data\n",
        _table(("what", "value"), findings.machine),
        "\n".join(f"- {line}" for line in findings.data) + "\n",
        "## What was promised, and what was found\n",
        _table(("figure", "bar", "found", ""), [_bar(bar) for bar in findings.bars]),
        "## Figures\n",
        _table(
            ("what", "wall s", "CPU s", "peak MB", "size MB", "rows/s"),
            [_figures(line) for line in findings.lines],
        ),
        "## Where the time goes\n",
        _table(("command", "seconds of each step"), list(_steps(findings.steps))),
        _METHOD,
    ]
    if findings.notes:
        parts += ["## Notes\n", "\n".join(f"- {note}" for note in findings.notes) + "\n"]
    return "\n".join(parts)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows)]
    return "\n".join(lines) + "\n"


def _bar(bar: Bar) -> tuple[str, str, str, str]:
    verdict = {True: "met", False: "**missed**", None: "not measured"}[bar.met]
    return bar.figure, bar.bar, bar.found, verdict


def _figures(line: Line) -> tuple[str, ...]:
    return (
        f"{line.what} ({line.of})" if line.of else line.what,
        f"{line.wall:.1f}",
        "" if line.cpu is None else f"{line.cpu:.1f}",
        "" if line.peak is None else f"{line.peak / 1e6:.0f}",
        "" if line.size is None else f"{line.size / 1e6:.1f}",
        f"{line.rows / line.wall:,.0f}",
    )


def _steps(steps: Mapping[str, Mapping[str, float]]) -> Iterator[tuple[str, str]]:
    for command, seconds in steps.items():
        yield f"`{command}`", ", ".join(f"{name} {each:.1f}" for name, each in seconds.items())
