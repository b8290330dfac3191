"""The charts of the home page: bars in SVG, made here, with a table of the same figures.

A bar says by its place and its length what it says. What is unlike its neighbours has a mark and a
pattern, not only a colour, and a sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.template.defaultfilters import filesizeformat

from backup_tasks import moments
from backup_tasks.admin.display import counted, duration, moment
from backup_tasks.models import Run
from backup_tasks.status.night_figures import Night, Unlike, unlike

_WIDTH, _HEIGHT, _TOP = 320, 90, 16
_FEWEST = 2
"""Nights that make a chart."""


@dataclass(frozen=True, kw_only=True)
class _Figure:
    """What a chart shows of each night."""

    name: str
    of: Callable[[Night], float | None]
    words: Callable[[float | None], str]


_FIGURES = (
    _Figure(name="size", of=lambda night: night.size, words=lambda value: _size(value)),
    _Figure(name="duration", of=lambda night: night.seconds, words=lambda value: _length(value)),
    _Figure(name="rows", of=lambda night: night.rows, words=lambda value: _number(value)),
    _Figure(name="files", of=lambda night: night.files, words=lambda value: _number(value)),
)


def nights_of(runs: Sequence[Run]) -> list[Night]:
    """Return the whole backups among these runs that succeeded, the oldest first; where none is
    whole, those of the type that there is most of."""
    done = [
        run
        for run in runs
        if run.kind in (Run.Kind.BACKUP, Run.Kind.CYCLE) and run.state == Run.State.SUCCEEDED
    ]
    types = [str(run.params.get("type") or "full") for run in done]
    shown = "full" if "full" in types else max(types, key=types.count, default="")
    nights = [_night(run) for run, type in zip(done, types, strict=True) if type == shown]
    return sorted(nights, key=lambda night: night.at)


def charts(nights: Sequence[Night]) -> dict[str, Any]:
    """Return what the template needs: a chart for each figure, the rows of the table, and in
    sentences which nights are unlike their neighbours."""
    if len(nights) < _FEWEST:
        return {}
    found = {each.name: unlike([each.of(night) for night in nights]) for each in _FIGURES}
    return {
        "nights": len(nights),
        "since": moment(nights[0].at),
        "charts": [_chart(each, nights, found[each.name]) for each in _FIGURES],
        "odd": [
            f"{moment(night.at)}: {each.name} {each.words(each.of(night))}, {odd.words}"
            for number, night in reversed(list(enumerate(nights)))
            for each in _FIGURES
            if (odd := found[each.name][number])
        ],
        "rows": [
            {
                "run": night.run,
                "at": moment(night.at),
                "figures": [
                    {
                        "name": each.name,
                        "text": each.words(each.of(night)),
                        "odd": found[each.name][number],
                    }
                    for each in _FIGURES
                ],
            }
            for number, night in reversed(list(enumerate(nights)))
        ],
    }


def _chart(
    figure: _Figure, nights: Sequence[Night], odd: Sequence[Unlike | None]
) -> dict[str, Any]:
    values = [figure.of(night) for night in nights]
    highest = max((value for value in values if value is not None), default=0) or 1
    step = _WIDTH / len(nights)
    bars = []
    for number, (night, value, mark) in enumerate(zip(nights, values, odd, strict=True)):
        height = round((value or 0) / highest * (_HEIGHT - _TOP), 1)
        bars.append(
            {
                "x": round(number * step, 1),
                "middle": round((number + 0.5) * step, 1),
                "y": round(_HEIGHT - height, 1),
                "width": round(max(1.0, min(step - 1, 24)), 1),
                "height": height,
                "above": round(_HEIGHT - height - 4, 1),
                "odd": mark,
                "title": f"{moment(night.at)}: {figure.words(value)}"
                + (f", {mark.words}" if mark else ""),
            }
        )
    last = figure.words(values[-1])
    return {
        "name": figure.name,
        "bars": bars,
        "width": _WIDTH,
        "height": _HEIGHT,
        "last": last,
        "highest": figure.words(highest),
        "summary": f"{figure.name} of {len(nights)} backups: the last one {last}, the highest "
        f"{figure.words(highest)}, {sum(each is not None for each in odd)} unlike their neighbours",
    }


def _night(run: Run) -> Night:
    models = run.report.get("models") or {}
    rows = [_counted(each) for each in models.values()]
    began, ended = run.started_at, run.finished_at
    return Night(
        run=run.pk,
        at=run.created_at,
        size=run.report.get("size"),
        seconds=(ended - began).total_seconds() if began and ended else None,
        rows=sum(each for each in rows if each is not None) if models else None,
        files=_counted(run.report.get("files") or {}),
    )


def _counted(figures: dict[str, Any]) -> int | None:
    """What the package holds: what was expected of it, or what was counted before."""
    return next(
        (figures[name] for name in ("expected", "before") if figures.get(name) is not None), None
    )


def _size(value: float | None) -> str:
    return "–" if value is None else filesizeformat(value)


def _length(value: float | None) -> str:
    now = moments.now()
    return "–" if value is None else duration(now - timedelta(seconds=value), now)


def _number(value: float | None) -> str:
    return counted(None if value is None else int(value))
