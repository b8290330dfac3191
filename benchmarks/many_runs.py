"""`python -m benchmarks.many_runs`: what the pages of the admin, the health check and the metrics
cost where there are many runs and packages: queries, and time of a processor."""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import django

from benchmarks import data
from edms.local.errors import ServiceUnavailable
from edms.local.instance import Instance
from edms.local.postgres import postgres_server
from edms.local.processes import stopping_on_signals

_BATCH = 500
_KINDS = ("backup", "drill")
_USER = "operator"
_TOKEN = "of-a-benchmark-of-many-runs"
_STEPS = {
    "backup": ("snapshot", "dump", "pack", "verify", "prune"),
    "drill": ("fetch", "reinit", "load", "validate", "discard"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a table of figures; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.many_runs", description=__doc__)
    parser.add_argument("--number", type=int, default=10_000, help="of runs, and of packages")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--engine", choices=("sqlite", "postgres"), default="sqlite")
    options = parser.parse_args(arguments)
    try:
        with stopping_on_signals(), ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
            url = ""
            if options.engine == "postgres":
                server = stack.enter_context(postgres_server())
                name = server.new_name()
                url = server.create_database(name)
                stack.callback(server.drop_database, name)
            variables = {"BACKUP_MONITORING_TOKEN": _TOKEN}
            instance = Instance(folder=folder, database_url=url, variables=variables)
            data.manage(instance, "migrate", "--no-input")
            os.environ.update(instance.env)
            django.setup()
            _measure(instance, options.number, options.repeats)
    except ServiceUnavailable as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _measure(instance: Instance, number: int, repeats: int) -> None:
    from django.conf import settings
    from django.db import connections

    settings.ALLOWED_HOSTS = ["testserver"]
    settings.DEBUG = False  # else every query is kept
    try:
        fill(instance, number)
        print(f"{number:,} runs and packages; load of the machine {os.getloadavg()[0]:.1f}\n")
        print("| page | queries | processor |\n| --- | --- | --- |")
        for name, get in _pages():
            queries, seconds = _once(get, repeats)
            print(f"| {name} | {queries} | {seconds * 1000:.0f} ms |")
    finally:
        connections.close_all()


def fill(instance: Instance, number: int) -> None:
    """Make an hourly backup and its drill for each package, all there and proven, one in a hundred
    failed, a minute of beat's results for each, and the accounts."""
    from django.contrib.auth import get_user_model

    from backup_tasks.models import Package, PackageVerdict, Run, Step
    from backup_tasks.storage.installation import this_installation

    get_user_model().objects.create_superuser(_USER)
    own = this_installation()
    instance.store.mkdir(parents=True, exist_ok=True)
    for first in range(0, number, _BATCH):
        numbers = range(first, min(number, first + _BATCH))
        packages = [_package(each, own) for each in numbers]
        Package.objects.bulk_create(packages)
        PackageVerdict.objects.bulk_create(v for each in packages for v in _verdicts(each))
        runs = [_run(each, packages[each // 2 - first // 2]) for each in numbers]
        Run.objects.bulk_create(runs)
        Step.objects.bulk_create(step for run in runs for step in _steps(run))
        _results(numbers)
        for each in packages:
            _write(instance.store, each)


def _package(number: int, own: str) -> Any:
    from backup_tasks import moments
    from backup_tasks.models import Package

    made = moments.now() - timedelta(hours=number)
    return Package(
        name=f"edms-{made:%Y%m%dT%H%M%SZ}-{number:08x}.tar.zst",
        store="backups",
        package_id=f"{number:032x}",
        label="",
        type="full",
        size=number % 97,
        sha256=f"{number:064x}",
        encrypted=False,
        signed=False,
        rows=50_000 - number,
        files=200,
        created_at=made,
        project="edms",
        installation=own,
        trusted=True,
        seen_at=moments.now() + timedelta(hours=1),
        verified_at=made,
        drilled_at=made,
    )


def _verdicts(package: Any) -> Iterator[Any]:
    from backup_tasks.models import PackageVerdict

    failed = int(package.package_id, 16) % 100 == 99
    for test in ("bytes", "contents", "restore"):
        yield PackageVerdict(sha256=package.sha256, test=test, passed=True, at=package.created_at)
    if failed:
        at = package.created_at + timedelta(hours=1)
        yield PackageVerdict(sha256=package.sha256, test="bytes", passed=False, at=at, why="odd")


def _run(number: int, package: Any) -> Any:
    from backup_tasks import moments
    from backup_tasks.models import Run

    kind, began = _KINDS[number % 2], moments.now() - timedelta(minutes=30 * number + 20)
    figures = {"before": 5000, "after_reinit": None, "after": 5000, "expected": 5000}
    models = {f"app.model{each}": {**figures, "digest_equal": True} for each in range(25)}
    return Run(
        id=f"{kind}-{began:%Y%m%dT%H%M%S}-{number:05}",
        kind=kind,
        state="failed" if number % 100 == 99 else "succeeded",
        params={"type": "full"},
        trigger="schedule",
        on_workers=True,
        slot=f"nightly-2026-01-01#{number}",
        package=package.name,
        package_sha256=package.sha256,
        report={"models": models, "files": {**figures, "after": 200}, "size": package.size},
        error={"kind": "permanent", "what": "no space left"} if number % 100 == 99 else None,
        created_at=began,
        started_at=began,
        finished_at=began + timedelta(seconds=90),
    )


def _steps(run: Any) -> Iterator[Any]:
    from backup_tasks.models import Step

    counts = {f"app.model{each}": 5000 for each in range(25)}
    for position, name in enumerate(_STEPS[run.kind]):
        yield Step(
            run=run,
            position=position,
            name=name,
            state="succeeded",
            attempt=1,
            owner="host:1:2",
            result={"counts": counts},
            started_at=run.started_at,
            finished_at=run.finished_at,
        )


def _results(numbers: range) -> None:
    from django_celery_results.models import TaskResult

    from backup_tasks import moments

    rows = TaskResult.objects.bulk_create(
        TaskResult(task_id=f"task-{each}", task_name="backup_tasks.reconcile", status="SUCCESS")
        for each in numbers
    )
    for row, number in zip(rows, numbers, strict=True):
        row.date_done = moments.now() - timedelta(minutes=number)
    TaskResult.objects.bulk_update(rows, ["date_done"])


def _write(store: Path, package: Any) -> None:
    """Write a package of the right size, and a sidecar that is looked at only by its name."""
    (store / package.name).write_bytes(b"\0" * package.size)
    (store / package.name.replace(".tar.zst", ".json")).write_text("{}")


def _pages() -> Iterator[tuple[str, Callable[[], Any]]]:
    from django.contrib.auth import get_user_model
    from django.test import Client

    from backup_tasks.models import Package, Run

    client = Client()
    client.force_login(get_user_model().objects.get(username=_USER))
    base = "/admin/backup_tasks/"
    package = Package.objects.order_by("-created_at")[0]
    run = Run.objects.order_by("-created_at")[0]
    told = {"authorization": f"Bearer {_TOKEN}"}
    for name, path in (
        ("home", base),
        ("runs", f"{base}run/"),
        ("a run", f"{base}run/{run.pk}/change/"),
        ("packages", f"{base}package/"),
        ("a package", f"{base}package/{package.pk}/change/"),
        ("undo points", f"{base}undopoint/"),
        ("audit entries", f"{base}auditentry/"),
    ):
        yield name, lambda path=path: client.get(path)
    yield "health, as JSON", lambda: Client().get("/backup/health", headers=told)
    yield "metrics", lambda: Client().get("/backup/metrics", headers=told)


def _once(get: Callable[[], Any], repeats: int) -> tuple[int, float]:
    """Return the number of queries, and the processor's seconds; the median, without the first."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as queries:
        answer = get()
    number = len(queries)  # the next request empties the log
    if answer.status_code not in (200, 503):
        raise SystemExit(f"the answer is {answer.status_code}")
    seconds = []
    for _ in range(repeats):
        began = time.process_time()
        get()
        seconds.append(time.process_time() - began)
    return number, statistics.median(seconds)


if __name__ == "__main__":
    raise SystemExit(main())
