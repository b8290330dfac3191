"""The worker pool: several processes do the same for many models, where there are many rows.

Python's work for a row takes longer than the server's, so one process leaves the other processors
idle. Each worker is a process with a connection of its own.

A model that a worker does not finish, for any reason, is done by this process. So every error that
a caller sees is raised here. A worker whose pipe is closed ends.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TextIO, TypeVar, cast

from django.apps import apps
from django.conf import settings as django_settings
from django.db import connections
from django.utils.module_loading import import_string

from backup_tasks.conf import backup_settings
from backup_tasks.engines import Engine, engine_for
from backup_tasks.errors import DoesNotFit
from backup_tasks.rows.codec import RowCodec
from backup_tasks.rows.line_format import LineFormat
from backup_tasks.rows.natural_keys import Identity, Model
from backup_tasks.rows.scope import label

logger = logging.getLogger(__name__)

BYTES_PER_WORKER = 128 << 20
"""Bytes of rows for each worker. A worker takes about a second to start."""

_PAUSE = 0.2
"""Seconds between two looks at the progress of the workers."""
_TO_STOP = 2.0
"""Seconds that a worker is given to end its statement, before it is killed."""

# The project may print while it starts: that must not get in between the answers.
# A program that was started in the background may ignore SIGINT, which is what ends a statement.
_PROGRAM = (
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
    " answers = os.fdopen(os.dup(1), 'w', buffering=1); os.dup2(2, 1);"
    " import django; django.setup();"
    " from backup_tasks.rows.worker_pool import serve; serve(sys.stdin, answers)"
)

Count = Callable[[int, str], None]
"""Is called with the number of rows done so far, and the label of the model."""

Rows = Callable[[int], None]
"""Is called with the number of rows done since the last call."""


class Job(Protocol):
    """The work for one model."""

    @property
    def codec(self) -> RowCodec: ...

    @property
    def member(self) -> Path | None:
        """The file with the model's lines."""


J = TypeVar("J", bound=Job)
T = TypeVar("T")

Perform = Callable[[RowCodec, Mapping[str, Any], Rows], dict[str, Any]]
"""Executes an order in a worker. Returns the answer, which is sent as JSON."""


@dataclass(frozen=True, kw_only=True)
class WorkerTask(Generic[J, T]):
    """What workers are told, and how their answers are read."""

    worker_side: str
    """Dotted path of the `WorkerSide`: a context manager that is called in the worker with the
    engine, the token and the schema, and gives a `Perform`."""
    token: str
    """Lets a worker join the snapshot or the load."""
    schema: str | None
    """The schema to which the alias leads; None: live."""
    order: Callable[[J], dict[str, Any]]
    """Returns what an order has besides the model and its file."""
    read: Callable[[Mapping[str, Any]], T]
    """Makes a result of an answer, equal to what this process would have returned."""


WorkerSide = Callable[[Engine, str, str | None], AbstractContextManager[Perform]]


@contextmanager
def gc_disabled() -> Iterator[None]:
    """Switch the garbage collector off: millions of values are created, and no reference cycles."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def can_use_workers(codecs: Sequence[RowCodec]) -> bool:
    """Whether workers can do these models: more than one connection is allowed, and a new process
    has the same settings and models. It does not have models of a past state of migrations, or
    settings that were changed in this process."""
    return (
        _connections() > 1
        and bool(django_settings.SETTINGS_MODULE)
        and all(
            codec.model in apps.get_models(include_auto_created=True, include_swapped=True)
            for codec in codecs
        )
    )


def run_all(
    engine: Engine,
    jobs: Sequence[J],
    do: Callable[[J, Rows], T],
    progress: Count,
    *,
    sizes: Sequence[int],
    task: WorkerTask[J, T] | None,
) -> list[T]:
    """Do all the jobs; return the results in the order of the jobs.

    `do` does a job in this process. `sizes` has the bytes of rows of each job. Without a `task`
    there are no workers. Raises what `do` raises.
    """
    # The largest come first, so that no long job is left at the end.
    left = deque(sorted(range(len(jobs)), key=lambda at: -sizes[at]))
    found: dict[int, T] = {}
    workers: list[_PoolWorker[J, T]] = []
    rows, note = 0, ""

    def count(more: int) -> None:
        nonlocal rows
        rows += more
        progress(rows + sum(worker.rows for worker in workers), note)

    try:
        if task:
            for _ in range(min(_connections() - 1, sum(sizes) // BYTES_PER_WORKER)):
                try:
                    workers.append(_PoolWorker(engine.alias, task, jobs, left, found))
                except OSError as error:
                    _log_failure(error)
        # Workers are asked before `left`: one that fails puts its job back before it stops being
        # busy.
        while any(worker.is_busy() for worker in workers) or left:
            try:
                at = left.popleft()
            except IndexError:
                time.sleep(_PAUSE)
                # A query keeps the transaction from being ended by the server as idle.
                connections[engine.alias].is_usable()
                count(0)
                continue
            note = jobs[at].codec.label
            with gc_disabled():
                found[at] = do(jobs[at], count)
        count(0)
    finally:
        for worker in workers:
            worker.stop()
    return [found[at] for at in range(len(jobs))]


def _log_failure(error: Exception) -> None:
    logger.warning("a parallel worker failed; this process does its work: %s", error)


def _connections() -> int:
    """Return the number of processes, this one included."""
    return min(backup_settings().connections, os.cpu_count() or 1)


def _columns(codec: RowCodec) -> list[list[str]]:
    """Return the columns as the code defines them. A worker's must be equal: the code on disk may
    be newer than the code of this process."""
    return [[field.name, *field.deconstruct()[1:2], field.column] for field in codec.written]


class _PoolWorker(Generic[J, T]):
    """A worker process, and the thread that sends it orders. Raises OSError if it can't be
    started."""

    def __init__(
        self,
        alias: str,
        task: WorkerTask[J, T],
        jobs: Sequence[J],
        left: deque[int],
        found: dict[int, T],
    ) -> None:
        self.rows = 0
        self._task, self._jobs, self._left, self._found = task, jobs, left, found
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
            # Ctrl-C reaches this process only, which then stops the worker.
            start_new_session=True,
        )
        start = _start(alias, task, jobs[0].codec)
        self._thread = threading.Thread(target=self._run, args=[start], daemon=True)
        self._thread.start()

    def is_busy(self) -> bool:
        """Whether it may still return a result."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """End the process, whatever it is doing. The server goes on with the statement of one that
        is killed, so it is interrupted first: then the driver lets the server end the statement."""
        self._stopped = True
        if self.is_busy():
            self._process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_TO_STOP)
        self._process.kill()
        self._thread.join()

    def _run(self, start: str) -> None:
        try:
            with self._process:
                self._send(start)
                self._receive()  # "ready": the worker has joined
                while True:
                    try:
                        at = self._left.popleft()
                    except IndexError:
                        return
                    self._do(at)
        except Exception as error:  # noqa: BLE001 - this process does the job, and raises what is wrong with it
            if not self._stopped:
                _log_failure(error)

    def _do(self, at: int) -> None:
        rows = self.rows
        try:
            self._found[at] = self._request(self._jobs[at])
        except Exception:
            self.rows = rows
            self._process.kill()
            self._process.wait()  # so that two processes never write to the same file
            self._left.append(at)
            raise

    def _request(self, job: J) -> T:
        member = None if job.member is None else str(job.member.absolute())
        order = {"model": job.codec.label, "member": member, "columns": _columns(job.codec)}
        self._send(json.dumps({**order, **self._task.order(job)}))
        while "rows" in (answer := self._receive()):
            self.rows += answer["rows"]
        return self._task.read(answer)

    def _send(self, line: str) -> None:
        pipe = cast(TextIO, self._process.stdin)
        pipe.write(line + "\n")
        pipe.flush()

    def _receive(self) -> dict[str, Any]:
        line = cast(TextIO, self._process.stdout).readline()
        if not line:
            raise EOFError("it ended")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer


def _start(alias: str, task: WorkerTask[Any, Any], codec: RowCodec) -> str:
    """Return the first line that a worker gets: what it needs for all models."""
    return json.dumps(
        {
            "line_format": asdict(codec.line_format),
            "alias": alias,
            "worker_side": task.worker_side,
            "token": task.token,
            "schema": task.schema,
            "identities": {
                label(model): asdict(known) for model, known in codec.identities.items()
            },
        }
    )


def serve(orders: TextIO, answers: TextIO) -> None:
    """Run as a worker: execute the orders, one line of JSON each, until the pipe is closed."""

    def answer(**values: Any) -> None:
        answers.write(json.dumps(values) + "\n")

    try:
        with gc_disabled():
            for found in _serve(orders, lambda rows: answer(rows=rows)):
                answer(**found)
    except (BrokenPipeError, KeyboardInterrupt):  # the process that sent the orders is gone
        return
    except Exception as error:  # noqa: BLE001 - the process that sent the order logs it
        answer(error=f"{type(error).__name__}: {error}")


def _serve(orders: TextIO, progress: Rows) -> Iterator[dict[str, Any]]:
    start = json.loads(orders.readline())
    engine = engine_for(start["alias"])
    identities = {
        cast(Model, apps.get_model(name)): Identity(**{**known, "paths": tuple(known["paths"])})
        for name, known in start["identities"].items()
    }
    line_format = LineFormat(**start["line_format"])
    worker_side = cast(WorkerSide, import_string(start["worker_side"]))
    with worker_side(engine, start["token"], start["schema"]) as do:
        yield {"ready": True}
        for order in map(json.loads, orders):
            model = cast(Model, apps.get_model(order["model"]))
            codec = RowCodec(model, identities, connections[engine.alias], line_format=line_format)
            if _columns(codec) != order["columns"]:
                raise DoesNotFit(
                    "the code has changed since the worker was started", obj=order["model"]
                )
            yield do(codec, order, progress)
