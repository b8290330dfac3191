"""RabbitMQ as the broker, as docs/how-to/use-rabbitmq.md says: the same settings, another URL."""

import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django_celery_results.models import TaskResult

from backup_tasks.models import Run
from edms.local.instance import ROOT
from edms.local.processes import Child, start
from tests.integration.celery.rabbitmq import rabbitmq_server
from tests.integration.celery.stage import (
    Stage,
    outcomes,
    until,
    until_ended,
)
from tests.services import MakeProject, Project, given

BACKUP = ["snapshot", "dump", "pack", "verify", "prune"]


@pytest.fixture(scope="module")
def rabbitmq() -> Iterator[str]:
    """A server's URL."""
    yield from given(rabbitmq_server())


@pytest.fixture
def project(make_project: MakeProject, rabbitmq: str) -> Project:
    stand_in = json.dumps({"transport": {}, "lease": 60.0})
    return make_project("sqlite", redis_url=rabbitmq, variables={"STAND_IN": stand_in})


@pytest.fixture
def stage(on_project: Project) -> Stage:
    return Stage(on_project.workspace)


def start_worker(project: Project, folder: Path) -> Child:
    module = "tests.integration.celery.stand_in_app"
    return start(
        "the worker",
        [
            *(sys.executable, "-m", "celery", "-A", module, "worker", "-l", "INFO"),
            *("-Q", "backups,celery", "-c", "2"),
        ],
        log=folder / "worker.log",
        env=project.env,
        cwd=ROOT,
    )


def test_a_run_outlives_its_worker_over_rabbitmq_and_each_step_is_done_once(
    project: Project, stage: Stage, tmp_path: Path
) -> None:
    worker = start_worker(project, tmp_path)
    try:
        stage.hold("dump")
        # By a command, as an operator would: this process has spoken to other brokers.
        run = Run.objects.get(pk=project.json("create_backup", "--enqueue")["run"])
        stage.until_begun("dump")

        worker.stop(signal.SIGKILL)
        worker = start_worker(project, tmp_path)

        # RabbitMQ gives the message back as soon as the connection is gone: nobody reconciles.
        stage.until_begun("dump", times=2)
        stage.release("dump")
        assert until_ended(run).state == Run.State.SUCCEEDED
        assert outcomes(run, "dump") == ["lost", "succeeded"]
        assert stage.executions("end") == BACKUP
        succeeded = TaskResult.objects.filter(status="SUCCESS")
        until(lambda: succeeded.count() == len(BACKUP), "all results are stored")
    finally:
        worker.stop()
