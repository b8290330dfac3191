"""Answers Prometheus, and health checks. Names of packages and errors are nothing for strangers, so
a token or a member of the staff is asked for."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from backup_tasks.conf import backup_settings
from backup_tasks.error_classification import LEDGER_ERRORS, explain
from backup_tasks.errors import BackupError
from backup_tasks.monitoring.metrics import CONTENT_TYPE, exposition
from backup_tasks.status import gather
from backup_tasks.status.conditions import judge
from backup_tasks.status.light import Light
from backup_tasks.status.packages import in_index

View = Callable[[HttpRequest], HttpResponse]


def _protected(view: View) -> View:
    @wraps(view)
    def asked(request: HttpRequest) -> HttpResponse:
        if not _may(request):
            refused = HttpResponse("a token is needed\n", status=401, content_type="text/plain")
            refused["WWW-Authenticate"] = 'Bearer realm="backup"'
            return refused
        return view(request)

    return never_cache(require_safe(asked))


def _may(request: HttpRequest) -> bool:
    token = backup_settings().monitoring_token
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if token and scheme.lower() == "bearer" and constant_time_compare(given.strip(), token):
        return True
    user = getattr(request, "user", None)  # a project may have no users
    return bool(user and user.is_active and user.is_staff and user.has_perm(_PERMISSION))


_PERMISSION = "backup_tasks.view_run"


@_protected
def metrics(request: HttpRequest) -> HttpResponse:
    """What is known, in Prometheus' text format. 503 where the ledger can't be asked: Prometheus
    then has `up == 0`, and old figures do not pass for new ones."""
    try:
        text = exposition()
    except (BackupError, *LEDGER_ERRORS) as raised:
        return HttpResponse(f"{explain(raised)}\n", status=503, content_type="text/plain")
    return HttpResponse(text, content_type=CONTENT_TYPE)


@_protected
def health(request: HttpRequest) -> HttpResponse:
    """The light and its reasons, as JSON. 503 while it is critical, or where the ledger can't be
    asked."""
    try:
        status = judge(gather.of_index(in_index()))
    except (BackupError, *LEDGER_ERRORS) as raised:
        error = explain(raised)
        reason = {"status": "unknown", "reason": "not_asked", "what": str(error), "remedy": ""}
        return JsonResponse({"status": "unknown", "reasons": [reason]}, status=503)
    reasons = [
        {
            "status": each.light.word.lower(),
            "reason": each.name,
            "what": each.what,
            "remedy": each.remedy,
        }
        for each in status.reasons
    ]
    answer = {"status": status.light.word.lower(), "reasons": reasons}
    return JsonResponse(answer, status=503 if status.light is Light.RED else 200)
