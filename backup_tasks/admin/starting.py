"""Starts a run on the workers, and tells the person who asked how that went."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponseRedirect
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from backup_tasks import ledger
from backup_tasks.admin.display import KINDS
from backup_tasks.conf import backup_settings
from backup_tasks.error_classification import explain
from backup_tasks.errors import BackupError, Misconfigured, Transient
from backup_tasks.evidence import audit
from backup_tasks.models import ApprovalRequest, Run
from backup_tasks.runs import chains

BROKER_SECONDS = 3
"""How long a page waits for the message broker."""

_NO_BROKER = "the message broker does not answer, so the workers can't be reached"

_COMMANDS: Mapping[str, str] = {
    Run.Kind.BACKUP: "manage.py create_backup",
    Run.Kind.VERIFY: "manage.py verify_package",
    Run.Kind.DRILL: "manage.py drill_restore",
    Run.Kind.RESTORE: "manage.py restore_from_package",
    Run.Kind.REINIT: "manage.py system_reinit",
    Run.Kind.UNDO: "manage.py undo_restore",
    Run.Kind.PRUNE: "manage.py prune_packages",
}


def run_url(run_id: str) -> str:
    """Return the address of a run's page."""
    return reverse("admin:backup_tasks_run_change", args=[run_id])


def run_link(run: Run) -> SafeString:
    """Return a link to a run's page."""
    return format_html('<a href="{}">{}</a>', run_url(run.pk), run.pk)


def start_on_workers(
    request: HttpRequest, kind: str, params: Mapping[str, Any], *, back: str, confirmed: str = ""
) -> HttpResponseRedirect:
    """Start a run and go to its page; where it can't be started, say why and go `back`.
    `confirmed`: what was typed to confirm it. Where another person has to approve it, go to the
    page on which that is done."""
    if backup_settings().four_eyes and chains.writes_live(kind, params):
        return _ask(request, kind, params, confirmed)
    run = start(request, kind, params, confirmed=confirmed)
    if run is None:
        return redirect(back)
    if run.state != Run.State.FAILED:
        messages.success(request, f"{KINDS[kind]} started.")
    return redirect(run_url(run.pk))


def _ask(
    request: HttpRequest, kind: str, params: Mapping[str, Any], confirmed: str
) -> HttpResponseRedirect:
    asked = ApprovalRequest.objects.create(
        kind=kind,
        params=dict(params),
        confirmed=confirmed,
        requested_by=request.user.get_username(),
    )
    details = {"kind": kind, "params": dict(params), "confirmed": confirmed}
    by = asked.requested_by
    audit.record("requested", str(asked.pk), through="admin", by=by, details=details)
    messages.success(request, f"{KINDS[kind]}: it starts when another person approves it.")
    return redirect("admin:backup_tasks_approvalrequest_change", asked.pk)


def start(
    request: HttpRequest,
    kind: str,
    params: Mapping[str, Any],
    *,
    confirmed: str = "",
    requested_by: str = "",
) -> Run | None:
    """Start a run on the workers, and return it. Where it can't be started, say why in a message
    and return None. `requested_by`: who asked for it, where that is another person.

    The broker is asked first: a run that no worker hears of is not even written down.
    """
    try:
        must_reach_workers(
            "Nothing was started. Start the broker, then press the button again; without it, use "
            f"the command line: {_COMMANDS[kind]}."
        )
        run = chains.start(
            kind,
            trigger="admin",
            requested_by=requested_by or request.user.get_username(),
            on_workers=True,
            params=params,
            confirmed=confirmed,
        )
    except (BackupError, DatabaseError, InterfaceError) as raised:
        tell_error(request, explain(raised))
        return None
    return hand_over(request, run)


def hand_over(request: HttpRequest, run: Run) -> Run:
    """Enqueue the run and return it. Where that fails, the run has failed; a message says so."""
    from backup_tasks import tasks

    try:
        tasks.hand_over(run, hint="Start the broker, then press Resume on the run's page.")
    except Transient as error:
        tell_error(request, error)
        return ledger.find(run.pk)
    return run


def must_reach_workers(hint: str) -> None:
    """Raise Misconfigured where Celery is not installed, Transient where the message broker does
    not answer within a few seconds."""
    try:
        from kombu.exceptions import OperationalError

        from backup_tasks.tasks import snapshot
    except ImportError as error:
        raise Misconfigured(f"Celery is not installed ({error})", hint=hint) from error
    limits = {"socket_connect_timeout": BROKER_SECONDS, "socket_timeout": BROKER_SECONDS}
    connection = snapshot.app.connection_for_write(
        connect_timeout=BROKER_SECONDS, transport_options=limits
    )
    try:
        with connection:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=BROKER_SECONDS)
    except OperationalError as error:
        raise Transient(f"{_NO_BROKER} ({error})", obj=connection.as_uri(), hint=hint) from error


def tell_error(request: HttpRequest, error: BackupError) -> None:
    """Show an error as a message: what happened, to what, and what to do next."""
    messages.error(request, error_text(error))


def error_text(error: BackupError) -> SafeString:
    """Return an error as HTML, a run that it is about as a link."""
    run = Run.objects.filter(pk=error.obj).first() if error.obj else None
    subject = run_link(run) if run else error.obj
    about = format_html("<code>{}</code>: ", subject) if subject else ""
    hint = format_html("<br>What to do: {}", error.hint) if error.hint else ""
    return format_html("{}{}.{}", about, error.what.rstrip("."), hint)
