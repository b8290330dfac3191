"""A nursery of commands that are to be killed. It has no threads and no connections.

A child counts its *moments*: each SQL statement, commit and rollback, each file that is opened,
renamed, linked or removed, each folder that is made or removed, and the boundaries of steps. It
kills itself right before the one it is told, or a little later; or stops itself right before it
changes a file of the media, or executes a statement. The product's code is not changed for that.
"""

import gc
import json
import os
import pkgutil
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.chaos.faults import Fault, pretend_free, small_disk
from tests.nursery import serve

_FILES = frozenset(
    ("open", "os.rename", "os.remove", "os.link", "os.mkdir", "os.rmdir", "sqlite3.connect")
)
"""Events of the interpreter's audit that a change of something on disk begins with."""


UNFORESEEN = 70


def changes_file(moment: str, media: Path) -> bool:
    """Whether at this moment a file or folder of the media is about to be changed."""
    event, _, path = moment.partition(" ")
    writes = event.startswith("os.") or path.endswith(".partial")
    return event in _FILES and writes and path.startswith(str(media))


class Moments:
    """Counts them, and dies at the one that was ordered."""

    def __init__(self, order: dict[str, Any]) -> None:
        self.seen: list[str] = []
        self._at, self._when = order.get("at"), order.get("when", "never")
        self._later = order.get("later", 0.0)
        self._begins_with = order.get("counting_from", "")
        self._fault = Fault(*order["fault"]) if "fault" in order else None
        self._media = Path(os.environ["MEDIA_ROOT"])
        self._stops_at, self._stops_when = order.get("stops_at"), order.get("stops_when")

    def __call__(self, what: str) -> None:
        if self._fault:
            self._fault(what)
        if self._begins_with:
            if what != self._begins_with:
                return
            self._begins_with = ""
        if self._stops_at is not None and changes_file(what, self._media):
            if self._stops_at == 0:
                os.kill(os.getpid(), signal.SIGSTOP)
            self._stops_at -= 1
        if self._stops_when is not None and self._stops_when in what:
            self._stops_when = None
            os.kill(os.getpid(), signal.SIGSTOP)
        if len(self.seen) == self._at or what.startswith(self._when):
            self._die()
        self.seen.append(what)

    def _die(self) -> None:
        if self._later:
            threading.Timer(self._later, os.kill, (os.getpid(), signal.SIGKILL)).start()
        else:
            os.kill(os.getpid(), signal.SIGKILL)

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in _FILES and not str(arguments[0]).endswith((".py", ".pyc", "/stat")):
            self(f"{event} {arguments[0]}")


def prepare() -> None:
    """Import what a command would, and no more."""
    import django

    django.setup()
    from django.db import connections

    import backup_tasks.engines
    import backup_tasks.management.commands
    import backup_tasks.steps

    for package in (backup_tasks.engines, backup_tasks.steps, backup_tasks.management.commands):
        for module in pkgutil.iter_modules(package.__path__):
            import_module(f"{package.__name__}.{module.name}")
    connections.close_all()
    gc.freeze()  # else the first collection in each child copies all that they share


def run_in_child(order: dict[str, Any]) -> int:
    """Run the command of the order, and return its exit code."""
    from django.core.management import CommandError, call_command

    moments = Moments(order)
    watch(moments, order)
    if "free" in order:
        pretend_free(order["free"])
    try:
        call_command(*order["command"])
        code = 0
    except CommandError as error:
        print(error, file=sys.stderr)
        code = error.returncode
    seen = json.dumps(moments.seen)
    told = Path(order["moments"])
    told.with_suffix(".part").write_text(seen)
    told.with_suffix(".part").rename(told)  # death may come in between
    return code


def run(order: dict[str, Any]) -> int:
    """As `run_in_child`, with a code of its own for what no command would let happen: 1 is what a
    command that refuses ends with."""
    try:
        return run_in_child(order)
    except BaseException:  # noqa: BLE001  # told to whoever reads the output
        traceback.print_exc()
        return UNFORESEEN


def watch(moments: Moments, order: dict[str, Any]) -> None:
    """Let the child tell `moments` what it is about to do; and wait less than it would."""
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.backends.utils import CursorWrapper

    from backup_tasks import ledger
    from backup_tasks.runs import execution
    from backup_tasks.runs.chains import CHAINS

    def before(owner: Any, name: str, say: Callable[..., str]) -> None:
        original = getattr(owner, name)

        def told(*args: Any, **options: Any) -> Any:
            moments(say(*args, **options))
            return original(*args, **options)

        setattr(owner, name, told)

    before(CursorWrapper, "execute", lambda _, sql, *__: str(sql)[:100])
    before(CursorWrapper, "executemany", lambda _, sql, *__: str(sql)[:100])
    before(BaseDatabaseWrapper, "_commit", lambda *_: "commit")
    before(BaseDatabaseWrapper, "_rollback", lambda *_: "rollback")
    for step in sorted({name for chain in CHAINS.values() for name in chain}):
        limit = order["file_limit"][1] if order.get("file_limit", [""])[0] == step else None
        execution.VERBS[step] = bounded(step, execution.verb_of(step), moments, limit)
    execution.RETRY = execution.Retry(times=2, first=0.05)
    if "idle_seconds" in order:
        from backup_tasks.engines import stopped_client

        for between in stopped_client.IDLE_SECONDS:
            stopped_client.IDLE_SECONDS[between] = order["idle_seconds"]
    if "lock_tries" in order:
        from backup_tasks.engines.postgresql import engine as postgresql

        postgresql._LOCK_TRIES = order["lock_tries"]
    record = ledger.succeed

    def succeed(claim: ledger.Claim, *args: Any, **options: Any) -> bool:
        finished = record(claim, *args, **options)
        moments(f"recorded {claim.step.name}")
        return finished

    ledger.succeed = succeed
    sys.addaudithook(moments.audit)


def bounded(step: str, verb: Any, moments: Moments, limit: int | None) -> Any:
    def work(given: Any) -> Any:
        moments(f"claimed {step}")
        with small_disk(limit):
            result = verb(given)
        moments(f"worked {step}")
        return result

    return work


if __name__ == "__main__":
    prepare()
    serve(run)
