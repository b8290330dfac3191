"""Serves the certificates of drills from their store."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse

from backup_tasks.error_classification import explain
from backup_tasks.errors import BackupError
from backup_tasks.evidence import certificates
from backup_tasks.models import Run, Step

_TYPES = {"json": "application/json", "html": "text/html; charset=utf-8"}


def by_run(runs: list[Run]) -> dict[str, str]:
    """Return the runs of a list that have written a certificate, with the alias of its store."""
    steps = Step.objects.filter(name="discard", run__in=[run.pk for run in runs])
    return {
        run: str(result["certificate_in"])
        for run, result in steps.values_list("run_id", "result")
        if result.get("certificate")
    }


def answer(request: HttpRequest, run: Run, format: str) -> HttpResponse:
    """Return a certificate as it lies in the store. Raises Http404.

    Whoever can write to the store could have put a page of their own there: the browser is told to
    run nothing of it, and to treat it as a stranger's.
    """
    store = by_run([run]).get(run.pk)
    if store is None or format not in _TYPES:
        raise Http404("This run has no certificate.")
    try:
        content = certificates.read(store, run.pk, format)
    except FileNotFoundError as error:
        raise Http404("The certificate is no longer in the store.") from error
    except BackupError as raised:
        return HttpResponse(f"{explain(raised)}\n", status=502, content_type="text/plain")
    headers: dict[str, Any] = {
        "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'",
        "X-Content-Type-Options": "nosniff",
    }
    if format == "json":
        headers["Content-Disposition"] = f'attachment; filename="{run.pk}.json"'
    return HttpResponse(content, content_type=_TYPES[format], headers=headers)
