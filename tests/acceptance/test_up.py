"""`make up`, as a developer runs it."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, build_opener, urlopen

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


def backup_home(port: int, user: str, password: str) -> str:
    """What somebody who signs in sees on the home page of the backups."""
    browser = build_opener(HTTPCookieProcessor())
    page = f"http://127.0.0.1:{port}/admin/login/?next=/admin/backup_tasks/"
    with browser.open(page) as response:
        form = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', response.read().decode())
    assert form is not None
    fields = {"csrfmiddlewaretoken": form[1], "username": user, "password": password}
    with browser.open(page, urlencode(fields).encode()) as response:
        return str(response.read().decode())


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
            password = re.search(r"admin +(\S+)", greeting.partition("Sign in as")[2])
            assert password is not None
            assert "If the data were lost now" in backup_home(web, "admin", password[1])
            with urlopen(f"http://127.0.0.1:{flower}/") as page:
                assert b"Flower" in page.read()
            running = "\n".join(running_in(tmp_path))
            assert [name for name in PROGRAMS if name not in running] == []

            program.send_signal(signal.SIGINT)
            printed, _ = program.communicate(timeout=60)
        finally:
            program.kill()

    assert program.returncode == 128 + signal.SIGINT
    assert left_in(tmp_path) == []
    assert printed == "", "the addresses and the password stay on the screen"
    assert "celery@" in (tmp_path / "log" / "worker.log").read_text()


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
