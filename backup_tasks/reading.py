"""Reads models: their rows, and what in them leads nowhere. Several at a time where it pays.

Python's work for a row takes longer than the server's. So where there are many rows, helpers read
along: processes, each over a connection of its own, that see the very state of the database which
this process sees (PostgreSQL exports a snapshot).

Helpers only ever help. What one does not read, whatever the reason, is read here; if that is an
error, it is this process's. A helper that is asked by nobody any more ends.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO, cast

from django.apps import apps
from django.conf import settings as django_settings
from django.db import connections

from backup_tasks.conf import backup_settings
from backup_tasks.engines import Engine, engine_for
from backup_tasks.engines.base import Shared
from backup_tasks.errors import DoesNotFit
from backup_tasks.rows.dump import Dumped, dump_model
from backup_tasks.rows.integrity import dangling
from backup_tasks.rows.natural_keys import Identity, Model
from backup_tasks.rows.scope import label
from backup_tasks.rows.shape import Shape

logger = logging.getLogger(__name__)

WORTH_A_HELPER = 128 << 20
"""Bytes of rows in the database for each helper: it takes a second or so to start."""

_PAUSE = 0.2
"""Seconds between two looks at how far helpers are."""

# What the project prints while it starts must not come between the answers.
_PROGRAM = (
    "import os, sys; answers = os.fdopen(os.dup(1), 'w', buffering=1); os.dup2(2, 1);"
    " import django; django.setup();"
    " from backup_tasks.reading import help_out; help_out(sys.stdin, answers)"
)

Count = Callable[[int, str], None]
"""Is called with the number of rows that were read so far, and what is being read."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A model to read."""

    shape: Shape
    member: Path | None = None
    """Where the lines are written to; None: only the figures are wanted."""


@dataclass(frozen=True, kw_only=True)
class Read:
    """What was found."""

    dumped: Dumped
    dangling: Mapping[str, int]
    """Of `integrity.dangling`."""


def read(job: Job, progress: Callable[[int], None]) -> Read:
    """Read one model, here. Raises what `dump_model` raises."""
    with ExitStack() as stack:
        stack.enter_context(_no_collector())
        target = stack.enter_context(job.member.open("wb")) if job.member else None
        dumped = dump_model(job.shape, target, progress)
    return Read(dumped=dumped, dangling=dangling(job.shape.connection, job.shape.model))


@contextmanager
def _no_collector() -> Iterator[None]:
    """Python's collector of cycles stays out: millions of values are made here, and no cycle."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def read_all(
    engine: Engine, jobs: Sequence[Job], progress: Count, *, place: str | None = None
) -> list[Read]:
    """Read all the models; return what was found, in the order of the jobs.

    The alias leads to `place` (None: live), in a transaction. Raises what `dump_model` raises.
    """
    shared = None
    if _connections() > 1 and _can_be_known_elsewhere(jobs):
        tables = [job.shape.table for job in jobs]
        shared = engine.shared(tables, least=WORTH_A_HELPER)
    sizes = shared.sizes if shared else (0,) * len(jobs)
    # The largest first: none of them should be all that is left at the end.
    left = deque(sorted(range(len(jobs)), key=lambda at: -sizes[at]))
    found: dict[int, Read] = {}
    helpers: list[_Helper] = []
    rows, note = 0, ""

    def count(more: int) -> None:
        nonlocal rows
        rows += more
        progress(rows + sum(helper.rows for helper in helpers), note)

    try:
        if shared:
            start = _start(engine, shared, place, jobs[0].shape.identities)
            for _ in range(min(_connections() - 1, sum(sizes) // WORTH_A_HELPER)):
                try:
                    helpers.append(_Helper(start, jobs, left, found))
                except OSError as error:
                    _gave_up(error)
        # In this order: a helper that fails gives its job back, and then is not busy any more.
        while any(helper.is_busy() for helper in helpers) or left:
            try:
                at = left.popleft()
            except IndexError:
                time.sleep(_PAUSE)
                # A server may end a transaction that says nothing for long.
                connections[engine.alias].is_usable()
                count(0)
                continue
            note = jobs[at].shape.label
            found[at] = read(jobs[at], count)
        count(0)
    finally:
        for helper in helpers:
            helper.stop()
    return [found[at] for at in range(len(jobs))]


def _gave_up(error: Exception) -> None:
    logger.warning("a helper gave up, its work is done here: %s", error)


def _connections() -> int:
    """Return how many may read at a time, this process's included."""
    return min(backup_settings().connections, os.cpu_count() or 1)


def _can_be_known_elsewhere(jobs: Sequence[Job]) -> bool:
    """Whether another process has the settings and the models: not those of a past state, nor
    settings that were made or changed in this process."""
    return bool(django_settings.SETTINGS_MODULE) and all(
        job.shape.model in apps.get_models(include_auto_created=True, include_swapped=True)
        for job in jobs
    )


def _start(
    engine: Engine, shared: Shared, place: str | None, identities: Mapping[Model, Identity]
) -> str:
    """Return the line that tells a helper what it needs to know for all models."""
    return json.dumps(
        {
            "alias": engine.alias,
            "place": place,
            "token": shared.token,
            "identities": {label(model): asdict(known) for model, known in identities.items()},
        }
    )


def _columns(shape: Shape) -> list[list[str]]:
    """Return what a helper's code must agree on with this one's, which may be older."""
    return [[field.name, *field.deconstruct()[1:2], field.column] for field in shape.written]


class _Helper:
    """A process that reads along, and the thread that asks it. Raises OSError if there is none."""

    def __init__(
        self, start: str, jobs: Sequence[Job], left: deque[int], found: dict[int, Read]
    ) -> None:
        self.rows = 0
        self._jobs, self._left, self._found = jobs, left, found
        self._stopped = False
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                "DJANGO_SETTINGS_MODULE": str(django_settings.SETTINGS_MODULE),
                "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path),
            },
            # Ctrl-C is for this process, which then stops it.
            start_new_session=True,
        )
        self._thread = threading.Thread(target=self._run, args=[start], daemon=True)
        self._thread.start()

    def is_busy(self) -> bool:
        """Whether it may still bring something."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """End it, whatever it is at."""
        self._stopped = True
        self._process.kill()
        self._thread.join()

    def _run(self, start: str) -> None:
        try:
            with self._process:
                self._say(start)
                self._hear()  # that it sees what this process sees
                while True:
                    try:
                        at = self._left.popleft()
                    except IndexError:
                        return
                    self._read(at)
        except Exception as error:  # noqa: BLE001 - this process tells what is wrong with a row
            if not self._stopped:
                _gave_up(error)

    def _read(self, at: int) -> None:
        rows = self.rows
        try:
            self._found[at] = self._ask(self._jobs[at])
        except Exception:
            self.rows = rows
            self._process.kill()
            self._process.wait()  # two must not write to one file
            self._left.append(at)
            raise

    def _ask(self, job: Job) -> Read:
        member = None if job.member is None else str(job.member.absolute())
        columns = _columns(job.shape)
        self._say(json.dumps({"model": job.shape.label, "member": member, "columns": columns}))
        while "rows" in (answer := self._hear()):
            self.rows += answer["rows"]
        return Read(dumped=Dumped(**answer["dumped"]), dangling=answer["dangling"])

    def _say(self, line: str) -> None:
        pipe = cast(TextIO, self._process.stdin)
        pipe.write(line + "\n")
        pipe.flush()

    def _hear(self) -> dict[str, Any]:
        line = cast(TextIO, self._process.stdout).readline()
        if not line:
            raise EOFError("it ended")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer


def help_out(orders: TextIO, answers: TextIO) -> None:
    """Be a helper: read what is asked for on `orders`, one line of JSON each, until it ends."""

    def answer(**values: Any) -> None:
        answers.write(json.dumps(values) + "\n")

    try:
        for found in _read_what_is_asked(orders, lambda rows: answer(rows=rows)):
            answer(**found)
    except BrokenPipeError:  # nobody listens any more
        return
    except Exception as error:  # noqa: BLE001 - who asked tells it
        answer(error=f"{type(error).__name__}: {error}")


def _read_what_is_asked(
    orders: TextIO, progress: Callable[[int], None]
) -> Iterator[dict[str, Any]]:
    start = json.loads(orders.readline())
    engine = engine_for(start["alias"])
    identities = {
        cast(Model, apps.get_model(name)): Identity(**{**known, "paths": tuple(known["paths"])})
        for name, known in start["identities"].items()
    }
    with engine.joined(start["token"], start["place"]):
        yield {"ready": True}
        for order in map(json.loads, orders):
            model = cast(Model, apps.get_model(order["model"]))
            shape = Shape(model, identities, connections[engine.alias])
            if _columns(shape) != order["columns"]:
                raise DoesNotFit(
                    "the code has changed since the worker was started", obj=order["model"]
                )
            member = None if order["member"] is None else Path(order["member"])
            found = read(Job(shape=shape, member=member), progress)
            yield {"dumped": asdict(found.dumped), "dangling": found.dangling}
