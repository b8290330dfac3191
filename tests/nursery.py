"""Runs programs in children that are forked when the imports are paid for.

Starting Python and importing Django and Celery takes most commands longer than what they do, and
tests run commands by the thousand. `python -m tests.nursery` has imported what does not depend on
any project's settings; each child then does what `python manage.py …` would have done, in a process
of its own, with the project's environment.
"""

import atexit
import contextlib
import functools
import gc
import json
import os
import runpy
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, TextIO, cast

from edms.local.instance import ROOT

# All that takes long and is imported by every command.
_IMPORTED = (
    "celery.fixups.django",
    "celery.worker.state",
    "cryptography.hazmat.primitives.asymmetric.ed25519",
    "django.contrib.admin",
    "django.core.management",
    "django.db.backends.postgresql.base",
    "django.db.backends.sqlite3.base",
    "django.db.migrations.executor",
    "django.template.defaulttags",
    "django.views.debug",
    "kombu.transport.redis",
    "orjson",
    "psycopg",
    "pyrage",
    "zstandard",
)


class Nursery:
    """A process of this module, or of one like it. It carries out one order at a time."""

    def __init__(self, module: str, env: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", module],
            cwd=ROOT,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            process_group=0,
        )
        assert self._hear(60) == "ready"

    def ask(self, order: Mapping[str, Any], *, timeout: float = 300) -> dict[str, Any]:
        """Let a child carry out the order; return {"code": exit code, "seconds": time}.

        Raises subprocess.TimeoutExpired; the child is dead then, and the nursery too.
        """
        orders = cast(TextIO, self._process.stdin)
        orders.write(json.dumps(order) + "\n")
        orders.flush()
        answer: dict[str, Any] = self._hear(timeout)
        return answer

    def close(self) -> None:
        """End it, and the child that is at work."""
        with self._process as process:
            process.terminate()

    def _hear(self, timeout: float) -> Any:
        answers = cast(TextIO, self._process.stdout)
        if not select.select([answers], [], [], timeout)[0]:
            self.close()
            raise subprocess.TimeoutExpired(self._process.args, timeout)
        return json.loads(answers.readline())


@functools.cache
def _for_commands() -> Nursery:
    nursery = Nursery("tests.nursery", os.environ)
    atexit.register(nursery.close)
    return nursery


def manage(
    *arguments: str | Path, env: Mapping[str, str], stdin: str | None, timeout: float
) -> "subprocess.CompletedProcess[str]":
    """Do what `python manage.py …` does in this environment."""
    argv = ["manage.py", *map(str, arguments)]
    with tempfile.TemporaryDirectory(prefix="nursery-") as name:
        read, printed, complained = (Path(name) / part for part in ("in", "out", "err"))
        read.write_text(stdin or "")
        order = {"argv": argv, "env": dict(env), "stdin": str(read)}
        order |= {"output": str(printed), "complaints": str(complained)}
        try:
            code = _for_commands().ask(order, timeout=timeout)["code"]
        except subprocess.TimeoutExpired:
            _for_commands.cache_clear()
            raise
        return subprocess.CompletedProcess(argv, code, printed.read_text(), complained.read_text())


def serve(run: Callable[[dict[str, Any]], int]) -> None:
    """Carry out orders, one a line of standard input, until it ends: `run` is called in a child,
    which exits with what it returns. Says with each answer how a child ended, or that it has
    stopped itself; the order {"goes_on": number} is to let that one go on."""
    orders, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    print(json.dumps("ready"), file=answers, flush=True)
    stopped: set[int] = set()
    try:
        for line in orders:
            order = json.loads(line)
            began = time.monotonic()
            answer = _carry_out(order, run, stopped)
            answer["seconds"] = time.monotonic() - began
            print(json.dumps(answer), file=answers, flush=True)
    finally:
        for child in stopped:
            _end(child)


def _carry_out(
    order: dict[str, Any], run: Callable[[dict[str, Any]], int], stopped: set[int]
) -> dict[str, Any]:
    if child := order.get("goes_on"):
        os.kill(child, signal.SIGCONT)
    else:
        child = os.fork()
        if child == 0:
            stopped.clear()  # they are its brothers
            _become(order)
            sys.exit(run(order))
    stopped.add(child)
    status = os.waitpid(child, os.WUNTRACED)[1]
    if os.WIFSTOPPED(status):
        return {"code": None, "stopped": child}
    stopped.discard(child)
    _end(child)
    return {"code": os.waitstatus_to_exitcode(status)}


def _end(child: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # and what it has started


def _become(order: Mapping[str, Any]) -> None:
    """Take the order's place among processes, and its files."""
    os.setpgid(0, 0)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.dup2(os.open(order.get("stdin", os.devnull), os.O_RDONLY), 0)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115  # as the interpreter opens it
    for number, name in ((1, "output"), (2, "complaints")):
        path = order.get(name, order["output"])
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)


def _manage(order: dict[str, Any]) -> int:
    os.environ.clear()
    os.environ.update(order["env"])
    sys.argv = order["argv"]
    runpy.run_path(str(ROOT / "manage.py"), run_name="__main__")
    return 0


if __name__ == "__main__":
    for module in _IMPORTED:
        import_module(module)
    gc.freeze()  # else the first collection in each child copies all that they share
    serve(_manage)
