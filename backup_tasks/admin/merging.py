"""A merge from the admin: its plan is made by a run that changes nothing, shown on that run's page,
and merged from there once somebody has confirmed it."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import reverse

from backup_tasks.admin import starting
from backup_tasks.admin.confirmation import TypedConfirmation
from backup_tasks.models import Run

_CONFLICTS = [
    ("", "Refuse the merge"),
    ("package", "Take the package’s"),
    ("target", "Keep live’s"),
]
_MISSING = [
    ("", "Refuse the merge"),
    ("null", "Empty the reference, where the column allows it"),
    ("placeholder", "Make a user of that name, who can’t sign in"),
]


class MergeOptions(forms.Form):
    """What a merge does not decide by itself."""

    on_conflict = forms.ChoiceField(
        label="Where a row or file of the package contradicts live’s",
        choices=_CONFLICTS,
        required=False,
        widget=forms.RadioSelect,
        initial="",
    )
    missing_users = forms.ChoiceField(
        label="Where users are missing that neither side has",
        choices=_MISSING,
        required=False,
        widget=forms.RadioSelect,
        initial="",
    )


def rehearsal_of(package: str, objects: list[str], form: MergeOptions) -> dict[str, Any]:
    """Return the parameters of the run that makes the plan."""
    return {
        "package": package,
        "mode": "merge",
        "objects": objects,
        "safety": False,
        "promote": False,
        **form.cleaned_data,
    }


def plan_of(run: Run) -> dict[str, Any] | None:
    """Return the plan of a merge for its run's page, None for another run."""
    plan = (run.report or {}).get("merge")
    if not plan:
        return None
    models = [
        {"name": name, **figures}
        for name, figures in plan["models"].items()
        if any(figures[key] for key in ("insert", "update", "unchanged", "kept", "conflicts"))
    ]
    return {
        **plan,
        "models": models,
        "inserts": sum(each["insert"] for each in models),
        "updates": sum(each["update"] for each in models),
    }


def can_be_merged(run: Run) -> bool:
    """Whether the run is a rehearsal whose plan nothing speaks against."""
    plan = (run.report or {}).get("merge")
    rehearsed = run.kind == Run.Kind.RESTORE and run.params.get("promote") is False
    done = run.state == Run.State.SUCCEEDED
    return bool(plan and rehearsed and done and not plan["refused"])


def confirm(request: HttpRequest, run: Run, page: dict[str, Any]) -> HttpResponseBase:
    """Show the plan once more; start the merge once the package's name was typed."""
    form = TypedConfirmation(
        request.POST or None, expected=run.package, what="the name of the package"
    )
    if request.method == "POST" and form.is_valid():
        params = {**run.params, "package": run.package, "promote": True, "safety": True}
        here = reverse("admin:backup_tasks_run_merge", args=[run.pk])
        return starting.start_on_workers(
            request, Run.Kind.RESTORE, params, back=here, confirmed=f"typed {run.package}"
        )
    return _page(request, {**page, "form": form, "merge": plan_of(run), "run": run})


def _page(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    return TemplateResponse(request, "backup_tasks/merge.html", context)
