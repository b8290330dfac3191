"""Flower shows a run's chain, to whoever has the login, and changes nothing."""

import json
import sys
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from pytest_celery import CeleryTestWorker

from backup_tasks import tasks
from edms.local.instance import ROOT
from edms.local.ports import LOOPBACK, free_port, is_listening
from edms.local.processes import Child, start, wait_until
from tests.integration.celery.stage import PATIENCE, Stage, start_on_workers, until, until_ended
from tests.services import Project

LOGIN = {"Authorization": "Basic b3BlcmF0b3I6c2VjcmV0"}  # operator:secret
ANONYMOUS: dict[str, str] = {}


@pytest.fixture
def flower(project: Project, worker: CeleryTestWorker, tmp_path: Path) -> Iterator[int]:
    """The port of production's Flower, which knows the worker already."""
    port, login = free_port(), tmp_path / "login"
    login.write_text("operator:secret\n")
    child: Child = start(
        "Flower",
        [
            *(sys.executable, "-m", "celery", "-A", "edms", "flower"),
            *("--conf=docker/flowerconfig.py", f"--port={port}", f"--address={LOOPBACK}"),
        ],
        log=tmp_path / "flower.log",
        env={**project.env, "FLOWER_BASIC_AUTH_FILE": str(login)},
        cwd=ROOT,
    )
    try:
        wait_until(lambda: is_listening(port), child=child, what="Flower answers")
        until(lambda: ask(port, "/api/workers")[1], "Flower has met the worker")
        yield port
    finally:
        child.stop()


def ask(port: int, path: str, headers: dict[str, str] = LOGIN, method: str = "GET") -> Any:
    """The status, and the answer where there is one."""
    connection = HTTPConnection(LOOPBACK, port, timeout=30)
    try:
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        text = response.read()
        is_json = "json" in response.getheader("Content-Type", "")
        return response.status, json.loads(text) if is_json and text else None
    finally:
        connection.close()


def test_flower_lists_exactly_the_chain_of_a_run(flower: int, stage: Stage) -> None:
    """C12"""
    tasks.reconcile.apply_async().get(timeout=PATIENCE)  # every minute: it would fill the list
    first, other = (until_ended(start_on_workers()) for _ in range(2))
    assert first.pk != other.pk
    search = "/api/tasks?search=" + quote(f"kwargs:run_id={first.pk}")

    def names() -> list[str]:
        found = ask(flower, search)[1].values()
        return sorted(task["name"] for task in found if task["state"] == "SUCCESS")

    steps = sorted(f"backup_tasks.{step.name}" for step in first.steps.all())
    until(lambda: names() == steps, f"Flower lists {steps}")
    assert ask(flower, "/api/tasks?taskname=backup_tasks.reconcile")[1] == {}
    for task in ask(flower, search)[1].values():
        assert first.pk in task["kwargs"]
        assert set(json.loads(task["result"].replace("'", '"'))) == {"run_id", "step"}


def test_flower_is_closed_to_those_without_the_login_and_read_only(flower: int) -> None:
    """C13"""
    for path in ("/", "/api/tasks", "/api/workers"):
        assert ask(flower, path, ANONYMOUS)[0] == 401
    assert ask(flower, "/api/tasks")[0] == 200

    status, _ = ask(flower, "/api/task/async-apply/backup_tasks.undo", method="POST")
    assert status in (403, 405)
