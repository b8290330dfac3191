"""The home page: is the data safe, how much would be lost, how long would a restore take?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.template.defaultfilters import filesizeformat
from django.utils.html import format_html
from django.utils.safestring import SafeString

from backup_tasks.admin.display import ago, badge, duration, kind_of, moment
from backup_tasks.conf import backup_settings
from backup_tasks.error_classification import LEDGER_ERRORS, explain
from backup_tasks.errors import BackupError
from backup_tasks.ledger import replaced
from backup_tasks.models import Run
from backup_tasks.status import gather, schedules
from backup_tasks.status.conditions import judge
from backup_tasks.status.facts import Facts, Good
from backup_tasks.status.light import Light
from backup_tasks.status.packages import Held, Looked, in_index

_LIGHTS: Mapping[Light, tuple[str, str, str, str]] = {
    Light.GREEN: ("succeeded", "✓", "OK", "Your data is safe."),
    Light.AMBER: ("running", "!", "Warning", "Something needs attention."),
    Light.RED: ("failed", "✗", "Critical", "Your data is not safe now."),
    Light.UNKNOWN: ("pending", "?", "Unknown", "Not everything could be looked at."),
}
"""CSS class, mark, word and sentence of each colour."""

_DRILLS = 5
"""Recovery times that are shown."""


def home() -> dict[str, Any]:
    """Return what the page shows. The stores are not read for it: the index says what they held."""
    try:
        looked = in_index()
        points = replaced.not_undone()
        facts = gather.of_index(looked, points)
        runs = schedules.recent_runs()
    except (BackupError, *LEDGER_ERRORS) as raised:
        return {"error": explain(raised)}
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
        "schedules": [_schedule(each) for each in schedules.schedules(runs)],
        "stores": _stores(looked),
        "read": ago(facts.read_at) if facts.read_at else "",
        "disks": [
            {
                "folder": disk.folder,
                "free": filesizeformat(disk.free),
                "needed": filesizeformat(disk.needed) if disk.needed else "",
            }
            for disk in facts.disks
        ],
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
