"""What the figures say about what was promised."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from statistics import median

from benchmarks.data import SECOND_LOOK
from benchmarks.measuring import Cost, middle
from benchmarks.page import Bar, Line
from benchmarks.rounds import Measured

_MEMORY = 150e6
"""Bytes that neither dump nor load may need."""

_STEPS = {"create_backup": ("dump", SECOND_LOOK), "restore": ("load", "validate")}


def figures(found: Measured) -> Iterator[Line]:
    """Yield the lines of the table."""
    for what, costs in found.costs.items():
        cost = middle(costs)
        few, sample = what.endswith(" few"), what in ("dumpdata", "loaddata")
        name = what.removesuffix(" few")
        rows = found.few_rows if few else found.sample_rows if sample else found.rows
        yield Line(
            what=f"{found.database}: {name}",
            of="small data set" if few else "sample" if sample else "",
            wall=cost.wall,
            cpu=cost.cpu,
            peak=cost.peak,
            size=found.sizes.get(what),
            rows=rows,
        )
        for step in () if few else _STEPS.get(name, ()):
            yield Line(what=f"{found.database}: … its {step}", wall=cost.steps[step], rows=rows)


def steps(found: Measured) -> Mapping[str, Mapping[str, float]]:
    """Return the seconds of each step of our commands."""
    return {name: middle(found.costs[name]).steps for name in _STEPS}


def bars(postgres: Measured, sqlite: Measured) -> list[Bar]:
    """Hold the figures to the promises."""
    return [
        _ratio(postgres, "dump, with digests, against `pg_dump -Fc`", _dump, "pg_dump -Fc", 2.0),
        _ratio(
            postgres,
            "whole `create_backup` against `dbbackup --compress --encrypt`",
            lambda at, costs: costs["create_backup"][at].wall,
            "dbbackup",
            1.0,
        ),
        _times(postgres, "dump", _dump, "dumpdata", 100),
        _ratio(postgres, "load into staging against `pg_restore`", _load, "pg_restore", 1.5),
        _times(postgres, "load", _load, "loaddata", 100),
        _validation(postgres),
        _second_look(postgres),
        *_memory(postgres),
        _times(sqlite, "dump", _dump, "dumpdata", 30),
        _times(sqlite, "load", _load, "loaddata", 30),
        _second_look(sqlite),
    ]


_Seconds = Callable[[int, Mapping[str, list[Cost]]], float]


def _dump(at: int, costs: Mapping[str, list[Cost]]) -> float:
    return costs["create_backup"][at].steps["dump"]


def _load(at: int, costs: Mapping[str, list[Cost]]) -> float:
    return costs["restore"][at].steps["load"]


def _ratio(found: Measured, figure: str, ours: _Seconds, theirs: str, limit: float) -> Bar:
    figure, bar = f"{found.database}: {figure}", f"≤ {limit:.1f} ×"
    if theirs not in found.costs:
        return Bar(figure=figure, bar=bar, found="", met=None)
    ratios = [ours(at, found.costs) / cost.wall for at, cost in enumerate(found.costs[theirs])]
    ratio = median(ratios)
    return Bar(figure=figure, bar=bar, found=f"{ratio:.2f} ×", met=ratio <= limit)


def _times(found: Measured, name: str, ours: _Seconds, theirs: str, limit: float) -> Bar:
    """Compare rates, since the other one had the sample only."""
    repeats = range(len(found.costs["restore"]))
    rate = found.rows / median(ours(at, found.costs) for at in repeats)
    times = rate / (found.sample_rows / middle(found.costs[theirs]).wall)
    return Bar(
        figure=f"{found.database}: {name} against `{theirs}`, by rows per second",
        bar=f"≥ {limit} × faster",
        found=f"{times:.0f} × faster",
        met=times >= limit,
    )


def _validation(found: Measured) -> Bar:
    ratio = median(
        restore.steps["validate"] / backup.steps["dump"]
        for restore, backup in zip(
            found.costs["restore"], found.costs["create_backup"], strict=True
        )
    )
    return Bar(
        figure=f"{found.database}: validation against the dump",
        bar="≤ 1.2 ×",
        found=f"{ratio:.2f} ×",
        met=ratio <= 1.2,
    )


def _second_look(found: Measured) -> Bar:
    """Hold what the second look adds to the rest of the dump."""
    ratio = median(
        cost.steps[SECOND_LOOK] / (cost.steps["dump"] - cost.steps[SECOND_LOOK])
        for cost in found.costs["create_backup"]
    )
    return Bar(
        figure=f"{found.database}: second look against the rest of the dump",
        bar="≤ 15 %",
        found=f"{ratio:.0%}",
        met=ratio <= 0.15,
    )


def _memory(found: Measured) -> Iterator[Bar]:
    for name in _STEPS:
        many, few = middle(found.costs[name]).peak, middle(found.costs[f"{name} few"]).peak
        yield Bar(
            figure=f"{found.database}: peak memory of `{name}`, {found.few_rows:,} rows against "
            f"{found.rows:,}",
            bar="within 10 %, below 150 MB",
            found=f"{few / 1e6:.0f} MB, {many / 1e6:.0f} MB",
            met=abs(many / few - 1) <= 0.1 and max(many, few) < _MEMORY,
        )
