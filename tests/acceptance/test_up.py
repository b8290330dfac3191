"""`make up`, as a developer runs it."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

from edms.local.instance import ROOT
from edms.local.ports import free_port
from tests.processes import left_in, running_in

PROGRAMS = ("runserver", "celery -A edms worker", "celery -A edms beat", "celery -A edms flower")


def start(folder: Path, **variables: str) -> subprocess.Popen[str]:
    environment = {
        **{name: os.environ[name] for name in ("HOME", "PATH")},
        "BEAT_SCHEDULE": str(folder / "beat-schedule"),
        "DATABASE_URL": f"sqlite:///{folder}/edms.sqlite3",
        "MEDIA_ROOT": str(folder / "media"),
        "BACKUP_STORE": str(folder / "backups"),
        "BACKUP_WORKSPACE": str(folder / "workspace"),
        **variables,
    }
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "edms.local.up", str(folder)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_everything_answers_and_ctrl_c_leaves_no_process_behind(tmp_path: Path) -> None:
    web, flower = free_port(), free_port()
    with start(tmp_path, WEB_PORT=str(web), FLOWER_PORT=str(flower)) as program:
        try:
            assert program.stdout is not None
            greeting = ""
            for line in program.stdout:
                greeting += line
                if "Ctrl-C" in line:
                    break
            assert f"http://127.0.0.1:{web}/admin/" in greeting
            assert "Sign in as" in greeting
            with urlopen(f"http://127.0.0.1:{web}/admin/login/") as page:
                assert b"csrfmiddlewaretoken" in page.read()
            with urlopen(f"http://127.0.0.1:{flower}/") as page:
                assert b"Flower" in page.read()
            running = "\n".join(running_in(tmp_path))
            assert [name for name in PROGRAMS if name not in running] == []

            program.send_signal(signal.SIGINT)
            program.communicate(timeout=60)
        finally:
            program.kill()

    assert program.returncode == 128 + signal.SIGINT
    assert left_in(tmp_path) == []


def test_a_port_in_use_is_named_with_the_way_out(tmp_path: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with start(tmp_path, WEB_PORT=str(port)) as program:
            output, _ = program.communicate(timeout=60)

    assert program.returncode == 1
    assert f"Port {port} is in use. Set WEB_PORT to another one." in output
