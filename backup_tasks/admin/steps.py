"""The list of steps, and a step's page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.dateparse import parse_datetime
from django.utils.html import format_html
from django.utils.safestring import SafeString

from backup_tasks.admin.display import STEPS, badge, duration, process
from backup_tasks.admin.flower import task_in_flower
from backup_tasks.admin.read_only import ReadOnlyAdmin
from backup_tasks.admin.starting import run_url
from backup_tasks.admin.timeline import state_of
from backup_tasks.models import Step

_OUTCOMES = {
    "succeeded": "✓ succeeded",
    "failed": "✗ failed",
    "retry": "↻ to be tried again",
    "lost": "! its worker vanished",
    "resumed": "↻ resumed by an operator",
}


@admin.register(Step)
class StepAdmin(ReadOnlyAdmin):
    """The list of steps."""

    page_template = "backup_tasks/step.html"
    list_display = ["of_run", "position", "name", "result", "attempt", "took", "worker"]
    list_display_links = ["name"]
    list_filter = ["state", "name"]
    list_select_related = ["run"]
    search_fields = ["run__id", "name", "task_id", "owner"]
    ordering = ["-run__created_at", "position"]
    list_per_page = 50

    @admin.display(description="run", ordering="run")
    def of_run(self, step: Step) -> SafeString:
        """The run that it belongs to."""
        return format_html('<a href="{}">{}</a>', run_url(step.run_id), step.run_id)

    @admin.display(description="state", ordering="state")
    def result(self, step: Step) -> SafeString:
        """The state."""
        return badge(state_of(step.run, step))

    @admin.display(description="took")
    def took(self, step: Step) -> str:
        """How long its last attempt took."""
        return duration(step.started_at, step.finished_at)

    @admin.display(description="worker", ordering="owner")
    def worker(self, step: Step) -> str:
        """The process that claimed it last."""
        return process(step.owner)

    def page_of(self, request: HttpRequest, step: Step) -> dict[str, Any]:
        """Show a step's page."""
        return self.page_context(
            request,
            f"Step {step.name} of {step.run_id}",
            step=step,
            number=step.position + 1,
            badge=badge(state_of(step.run, step)),
            purpose=STEPS.get(step.name, ""),
            took=duration(step.started_at, step.finished_at),
            worker=process(step.owner),
            attempts=[_attempt(entry) for entry in reversed(step.attempts)],
            result=json.dumps(step.result, indent=2, sort_keys=True, ensure_ascii=False)
            if step.result
            else "",
            flower_url=task_in_flower(step.task_id),
        )


def _attempt(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "number": entry["attempt"],
        "outcome": _OUTCOMES.get(entry["outcome"], entry["outcome"]),
        "ended_at": parse_datetime(entry["ended_at"]),
        "worker": process(entry["owner"]) or "–",
        "why": (entry["error"] or {}).get("what", ""),
    }
