"""`make demo`: documents 5 → 0 → 5.

Runs the main job for real, in a folder of its own: an EDMS on SQLite with demonstration data, a
Redis server, a Celery worker with a prefork pool, and the `cycle` chain on that worker: backup,
reset, restore, validation, promotion. Exit code 0 only if every figure holds.
"""

import fcntl
import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from edms.local.errors import ServiceUnavailable
from edms.local.figures import lines_of, problems, table
from edms.local.instance import ROOT, Instance
from edms.local.processes import Child, stopping_on_signals
from edms.local.redis import private_redis

if TYPE_CHECKING:
    from backup_tasks.models import Run, Step

FOLDER = ROOT / "var" / "demo"
TIME_LIMIT = 300
"""Seconds that the chain may take; it takes a few."""


class DemoFailed(Exception):
    """The demo did not show what it should; the message says what."""


def main(folder: Path = FOLDER) -> int:
    """Run the demo in `folder`, which is emptied first; return the exit code."""
    with stopping_on_signals():
        try:
            with _alone_in(folder):
                _demo(folder)
        except (DemoFailed, ServiceUnavailable) as error:
            print(f"\nThe demo failed. {error}", file=sys.stderr)
            return 1
    return 0


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """The folder, emptied, and no other demo in it. What this one leaves there stays for a look."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DemoFailed(f"Another demo is running in {folder}. Wait for its end.") from None
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        yield


def _demo(folder: Path) -> None:
    started = time.monotonic()
    with ExitStack() as stack:
        redis_url, server = stack.enter_context(private_redis(folder / "redis"))
        print(f"Redis      {redis_url}, process {server.process.pid}")
        instance = Instance(folder=folder, redis_url=redis_url)
        worker = stack.enter_context(instance.worker())
        print(f"worker     Celery, prefork pool, queue backups, process {worker.process.pid}")
        _prepare(instance)
        files = _hash_files(instance)
        run = _follow(_start_cycle(instance), worker)
        files_now = _hash_files(instance)
    lines = lines_of(run.report, files_equal=files == files_now)
    print(f"\nThat took {time.monotonic() - started:.0f} s, setting the EDMS up included.\n")
    print(table(lines), flush=True)
    wrong = problems(lines, {**_count_rows(), "files": len(files_now)})
    if wrong:
        raise DemoFailed("These figures do not hold:\n  " + "\n  ".join(wrong))


def _prepare(instance: Instance) -> None:
    """Make the EDMS with its demonstration data, and let this process see its ledger."""
    for command in (("migrate", "--no-input", "--verbosity", "0"), ("seed_demo",)):
        done = instance.manage(*command)
        if done.returncode != 0:
            raise DemoFailed(f"manage.py {command[0]} failed:\n{done.stderr}")
    print(f"EDMS       {instance.database}\n           {done.stdout.splitlines()[0]}")
    os.environ.clear()
    os.environ.update(instance.env)
    import django

    django.setup()


def _start_cycle(instance: Instance) -> str:
    done = instance.manage("backup_cycle", "--promote", "--enqueue", "--json")
    if done.returncode != 0:
        raise DemoFailed(f"manage.py backup_cycle ended with {done.returncode}:\n{done.stderr}")
    run_id: str = json.loads(done.stdout)["run"]
    print(f"\nRun {run_id}, handed to the worker:")
    return run_id


def _follow(run_id: str, worker: Child) -> "Run":
    """Print each step as it ends; return the finished run. Raises DemoFailed if it fails."""
    from backup_tasks.models import Run, Step

    deadline = time.monotonic() + TIME_LIMIT
    printed = 0
    while True:
        worker.check()
        run = Run.objects.get(pk=run_id)
        steps = list(Step.objects.filter(run=run_id).order_by("position"))
        while printed < len(steps) and steps[printed].finished_at is not None:
            printed += 1
            _print_step(steps[printed - 1], f"{printed}/{len(steps)}")
        if run.state not in Run.ACTIVE:
            break
        if time.monotonic() > deadline:
            raise DemoFailed(
                f"{run_id} is still {run.state} after {TIME_LIMIT} s.\n{worker.tail()}"
            )
        time.sleep(0.05)
    if run.state != Run.State.SUCCEEDED:
        raise DemoFailed(f"{run_id} {run.state}: {json.dumps(run.error)}")
    if printed != len(steps):
        raise DemoFailed(f"{run_id} succeeded, but step {steps[printed].name} never ended.")
    return run


def _print_step(step: "Step", place: str) -> None:
    if step.started_at is None or step.finished_at is None:
        raise DemoFailed(f"step {step.name} ended without having started")
    seconds = (step.finished_at - step.started_at).total_seconds()
    mark = "✓" if step.state == step.State.SUCCEEDED else "✗"
    print(
        f"  {mark} {place} {step.name:<10} {seconds:6.2f} s   task {step.task_id}",
        flush=True,
    )


def _count_rows() -> dict[str, int]:
    """Rows per model of the live database, counted here and not by the run."""
    from django.apps import apps

    return {
        model._meta.label_lower: model._base_manager.count()
        for model in apps.get_models(include_auto_created=True)
        if model._meta.managed and not model._meta.proxy
    }


def _hash_files(instance: Instance) -> dict[str, str]:
    """SHA-256 of each live file by name, read here and not by the run."""
    from backup_tasks.package.names import RESERVED

    names = (path.relative_to(instance.media) for path in instance.media.rglob("*"))
    return {
        str(name): hashlib.sha256((instance.media / name).read_bytes()).hexdigest()
        for name in names
        if name.parts[0] != RESERVED and (instance.media / name).is_file()
    }


if __name__ == "__main__":
    sys.exit(main(*(Path(argument).absolute() for argument in sys.argv[1:])))
