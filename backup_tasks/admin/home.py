"""The home page: is the data safe, how much would be lost, how long would a restore take?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import median
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.defaultfilters import filesizeformat
from django.utils.cache import add_never_cache_headers
from django.utils.html import format_html
from django.utils.safestring import SafeString

from backup_tasks.admin.charts import charts, nights_of
from backup_tasks.admin.display import ago, badge, duration, kind_of, moment
from backup_tasks.admin.read_only import may_see_all
from backup_tasks.conf import backup_settings
from backup_tasks.error_classification import LEDGER_ERRORS, explain
from backup_tasks.errors import BackupError
from backup_tasks.ledger import replaced
from backup_tasks.models import Run
from backup_tasks.status import gather, schedules
from backup_tasks.status.conditions import judge
from backup_tasks.status.facts import Disk, Facts, Good
from backup_tasks.status.light import Light
from backup_tasks.status.night_figures import FEWEST, HALF, TWICE, ends, growth
from backup_tasks.status.packages import Held, Looked, in_index
from backup_tasks.status.workers import Asked, ask, flower_answers

_LIGHTS: Mapping[Light, tuple[str, str, str, str]] = {
    Light.GREEN: ("succeeded", "✓", "OK", "Your data is safe."),
    Light.AMBER: ("running", "!", "Warning", "Something needs attention."),
    Light.RED: ("failed", "✗", "Critical", "Your data is not safe now."),
    Light.UNKNOWN: ("pending", "?", "Unknown", "Not everything could be looked at."),
}
"""CSS class, mark, word and sentence of each colour."""

_DRILLS = 5
"""Recovery times that are shown."""


def fragment(request: HttpRequest) -> HttpResponse:
    """Show the part of the page that goes on: as the page, after asking broker, workers and Flower,
    each for a second at most. Raises PermissionDenied."""
    if not may_see_all(request.user):
        raise PermissionDenied
    try:
        asked = ask()
    except BackupError:
        asked = None  # no Celery: nothing to ask
    page = {"home": home(asked, flower=flower_answers())}
    answer = render(request, "backup_tasks/home.html", page)
    add_never_cache_headers(answer)
    return answer


def home(asked: Asked | None = None, *, flower: bool | None = None) -> dict[str, Any]:
    """Return what the page shows. The stores are not read for it: the index says what they held.
    `asked`, `flower`: what answered; None where nobody asked, as the page itself, which waits for
    nobody."""
    try:
        looked = in_index()
        points = replaced.not_undone()
        facts = gather.of_index(looked, points)
        runs = schedules.recent_runs()
    except (BackupError, *LEDGER_ERRORS) as raised:
        return {"error": explain(raised)}
    if asked is not None:
        facts = replace(facts, **gather.asked_facts(asked))
    status = judge(facts)
    undo = points[-1] if points and points[-1].schema else None
    drills = schedules.recovery_times(runs)[:_DRILLS]
    return {
        "light": light(status.light),
        "sentence": _LIGHTS[status.light][3],
        "reasons": [
            {"light": light(each.light), "what": each.what, "remedy": each.remedy}
            for each in status.reasons
        ],
        "points": list(_points(facts, looked)),
        "drills": [
            {"run": run, "took": duration(run.started_at, run.finished_at)} for run in drills
        ],
        "trend": _trend(drills),
        "alive": _alive(facts, flower),
        "nights": charts(nights_of(runs)),
        "schedules": [_schedule(each) for each in schedules.schedules(runs)],
        "stores": _stores(looked),
        "read": ago(facts.read_at) if facts.read_at else "",
        "disks": [_disk(disk, facts, runs) for disk in facts.disks],
        "undo": undo,
        "undo_until": moment(undo.expires_at) if undo else "",
        "at": moment(facts.now),
    }


def light(colour: Light) -> SafeString:
    """Return a colour as a mark and a word."""
    css, mark, word, _ = _LIGHTS[colour]
    return format_html(
        '<span class="backup-state backup-{}"><span aria-hidden="true">{}</span> {}</span>',
        css,
        mark,
        word,
    )


def _points(facts: Facts, looked: Looked) -> Any:
    def shown(good: Good | None, at: Any) -> dict[str, Any] | None:
        if good is None:
            return None
        return {"name": good.name, "age": ago(at), "key": looked.keys[good.store, good.name]}

    for point in facts.points:
        yield {
            "what": point.what,
            "good": shown(point.good, point.good and point.good.created_at),
            "proven": shown(point.proven, point.proven and point.proven.proven_at),
        }


def _schedule(schedule: schedules.Schedule) -> dict[str, Any]:
    last: Run | None = schedule.last
    return {
        "name": schedule.name,
        "next": moment(schedule.next_at),
        "last": last,
        "last_kind": kind_of(last) if last else "",
        "last_state": badge(last.state) if last else "",
        "last_at": ago(last.created_at) if last else "",
    }


def _stores(looked: Looked) -> list[dict[str, Any]]:
    unread = {problem.obj: problem.what for problem in looked.unread}
    found = []
    for alias in backup_settings().stores:
        held = looked.held.get(alias, Held())
        found.append(
            {
                "alias": alias,
                "packages": held.packages,
                "size": filesizeformat(held.size),
                "problem": unread.get(alias, ""),
            }
        )
    return found


def _trend(drills: Sequence[Run]) -> str:
    """Return how the last recovery time compares with those before it."""
    took = [
        (run.finished_at - run.started_at).total_seconds()
        for run in drills
        if run.started_at and run.finished_at
    ]
    if len(took) < FEWEST + 1 or not (usual := median(took[1:])):
        return ""
    if TWICE > took[0] / usual > HALF:
        return "about as the ones before"
    return f"{took[0] / usual:.1f} times what the ones before took"


def _alive(facts: Facts, flower: bool | None) -> dict[str, Any]:
    workers = facts.workers or {}
    seen = facts.beat_seen_at
    return {
        "beat": ago(seen) if seen else "",
        "beat_expected": facts.beat_expected,
        "broker": facts.broker,
        "queues": [
            {
                "name": queue,
                "waiting": number,
                "workers": sorted(name for name, taken in workers.items() if queue in taken),
            }
            for queue, number in facts.waiting.items()
        ],
        "flower": flower,
        "flower_url": backup_settings().flower_url,
    }


def _disk(disk: Disk, facts: Facts, runs: Sequence[Run]) -> dict[str, Any]:
    samples = [
        (run.finished_at, float(run.report["free"][disk.folder]))
        for run in runs
        if run.finished_at and disk.folder in (run.report.get("free") or {})
    ]
    slope = growth(samples)
    a_day = None if slope is None else -slope
    end = ends(disk.free, disk.needed, a_day, facts.now)
    return {
        "folder": disk.folder,
        "free": filesizeformat(disk.free),
        "needed": filesizeformat(disk.needed) if disk.needed else "",
        "samples": len(samples),
        "known": a_day is not None,
        "a_day": filesizeformat(a_day) if a_day and a_day > 0 else "",
        "ends": f"{end:%Y-%m-%d}" if end else "",
    }
