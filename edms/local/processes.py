"""Child processes that never outlive the program that started them.

Each child leads a process group of its own, so Ctrl-C at the terminal reaches only this program,
which then stops its children in order. Should this program die without a chance to do that
(`kill -9`), the reaper, a program that waits for just this, kills them.
"""

import atexit
import contextlib
import functools
import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO, Any

from edms.local.errors import ServiceUnavailable

REAPER = Path(__file__).with_name("reaper.py")
LOG_LINES = 20
"""How much of a child's log an error shows."""


@dataclass(frozen=True, kw_only=True)
class Child:
    """A started process and the file with what it printed."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    grace: float
    """Seconds between asking it to stop and killing it."""

    def check(self) -> None:
        """Raise ServiceUnavailable, with the end of its log, if the process has ended."""
        code = self.process.poll()
        if code is not None:
            raise ServiceUnavailable(
                f"{self.name} ended with exit code {code}. The end of {self.log}:\n{self.tail()}"
            )

    def tail(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(f"    {line}" for line in lines[-LOG_LINES:])

    def activity(self) -> tuple[int, int]:
        """The bytes of its log and the tenths of a second of processor time that it has used (on
        Linux): what grows while it does something."""
        try:
            # What comes before the last ")" is the program's name, which may hold anything.
            fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return self.log.stat().st_size, 0
        ticks = int(fields[11]) + int(fields[12])
        return self.log.stat().st_size, 10 * ticks // os.sysconf("SC_CLK_TCK")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Ask the process to end, then kill what is left of its group."""
        if self.process.poll() is None:
            self.process.send_signal(how)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(self.grace)
        _kill_group(self.process.pid)
        self.process.wait()
        _tell_reaper(f"-{self.process.pid}")


def start(
    name: str,
    command: Sequence[str | Path],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    user: str | None = None,
    grace: float = 15,
) -> Child:
    """Start `command`, its output going to `log`; `user` runs it as another user (root only).

    Raises ServiceUnavailable if the program can't be started.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    _reaper()
    with log.open("ab") as output:
        try:
            process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=env,
                cwd=cwd,
                process_group=0,
                **identity(user),
            )
        except OSError as error:
            raise ServiceUnavailable(f"{name} can't be started: {error}") from error
    _tell_reaper(f"+{process.pid}")
    return Child(name=name, process=process, log=log, grace=grace)


def run(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    cwd: Path,
    stdin: str | None = None,
    timeout: float = 300,
) -> subprocess.CompletedProcess[str]:
    """Run `command` to its end, and return what it printed. Whatever interrupts that, `kill -9` of
    this program too, it is killed with what it started.

    Its exit code is for the caller to judge. Raises subprocess.TimeoutExpired after `timeout`
    seconds.
    """
    process = subprocess.Popen(
        [str(part) for part in command],
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )
    with process:
        _tell_reaper(f"+{process.pid}")
        try:
            printed, complained = process.communicate(stdin, timeout)
        finally:
            _kill_group(process.pid)
            _tell_reaper(f"-{process.pid}")
    return subprocess.CompletedProcess(process.args, process.returncode, printed, complained)


@functools.cache
def _reaper() -> IO[bytes]:
    """Start the reaper, once; return what it listens to, which closes when this program ends."""
    # Without site-packages (-S) and variables (-E) it starts at once.
    process = subprocess.Popen(
        [sys.executable, "-S", "-E", str(REAPER)], stdin=subprocess.PIPE, process_group=0
    )
    ear = process.stdin
    if ear is None:
        raise ServiceUnavailable("the reaper has no standard input")

    def dismiss() -> None:
        ear.close()
        process.wait()

    atexit.register(dismiss)
    return ear


def _tell_reaper(line: str) -> None:
    _reaper().write(line.encode() + b"\n")
    _reaper().flush()


def _kill_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def identity(user: str | None) -> dict[str, Any]:
    """What `subprocess` must be given to run a program as `user`, with no right of root's left;
    nothing for None."""
    if user is None:
        return {}
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}


def wait_until(
    ready: Callable[[], bool], *, child: Child, what: str, timeout: float = 60, pause: float = 0.05
) -> None:
    """Return when `ready()` is true.

    Raises ServiceUnavailable if `child` ends first, or if `timeout` seconds pass in which it
    neither printed nor worked, or ten times as many in all; each shows its log. So a slow machine
    is waited for as long as something happens.
    """
    began = last_change = time.monotonic()
    seen = child.activity()
    while not ready():
        child.check()
        now = time.monotonic()
        if (activity := child.activity()) != seen:
            seen, last_change = activity, now
        if now - last_change > timeout or now - began > 10 * timeout:
            raise ServiceUnavailable(
                f"{what}: not within {now - began:.0f} s, of which nothing happened in the last "
                f"{now - last_change:.0f}. The end of {child.log}:\n{child.tail()}"
            )
        time.sleep(pause)


class Stopped(SystemExit):
    """A signal asked this program to end; its exit code is the shell's for that signal."""


@contextlib.contextmanager
def stopping_on_signals() -> Iterator[None]:
    """Turn SIGINT, SIGTERM and SIGHUP into Stopped, so that every `with` block cleans up. While it
    does, further signals are ignored: pressing Ctrl-C twice leaves nothing behind either."""

    def stop(number: int, frame: FrameType | None) -> None:
        for each in handled:
            signal.signal(each, signal.SIG_IGN)
        raise Stopped(128 + number)

    handled = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {each: signal.signal(each, stop) for each in handled}
    try:
        yield
    finally:
        for each, action in before.items():
            signal.signal(each, action)
