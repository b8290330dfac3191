"""`make demo`, as a newcomer runs it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edms.local.instance import ROOT
from tests.processes import left_in, running_in

LAST_LINES = [
    ["users.user", "10", "2", "10", "yes"],
    ["workflows.documentworkflow", "4", "0", "4", "yes"],
    ["documents.document", "5", "0", "5", "yes"],
    ["files", "5", "0", "5", "yes"],
]


@contextmanager
def demo(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """The demo, started as make does, with nothing in the environment but HOME and PATH."""
    environment = {name: os.environ[name] for name in ("HOME", "PATH")}
    command = [sys.executable, "-u", "-m", "edms.local.demo", str(folder)]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as program:
        try:
            yield program
        finally:
            program.kill()


def test_the_demo_shows_every_figure_and_ends_with_success(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    with demo(folder) as program:
        output, _ = program.communicate(timeout=180)

    assert program.returncode == 0, output
    assert [line.split() for line in output.splitlines()[-4:]] == LAST_LINES
    for step in ("snapshot", "dump", "pack", "verify", "reinit", "load", "validate", "promote"):
        assert f" {step} " in output
    assert left_in(folder, within=0) == []


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("moment", ["worker", "  ✓ 1/8 snapshot"])
def test_an_interrupted_demo_leaves_no_process_behind(
    moment: str, how: signal.Signals, tmp_path: Path
) -> None:
    folder = tmp_path / "demo"
    with demo(folder) as program:
        assert program.stdout is not None
        for line in program.stdout:
            if line.startswith(moment):
                break
        assert len(running_in(folder)) >= 3  # the demo, Redis, the worker

        program.send_signal(how)
        code = program.wait(60)

    assert code == (-how if how == signal.SIGKILL else 128 + how)
    assert left_in(folder) == []
