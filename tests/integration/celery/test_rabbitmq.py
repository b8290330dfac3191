"""RabbitMQ as the broker, as docs/how-to/use-rabbitmq.md says: the same settings, another URL."""

import json
import signal
import sys
from collections.abc import Iterator
from datetime import timedelta
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

BACKUP = ["snapshot", "dump", "pack", "verify", "fit", "prune"]


ACKNOWLEDGEMENT = timedelta(seconds=8)
LEASE = timedelta(seconds=6)


@pytest.fixture(scope="module")
def rabbitmq() -> Iterator[str]:
    """The URL of a server that gives a worker a few seconds to acknowledge a message."""
    yield from given(rabbitmq_server(consumer_timeout=ACKNOWLEDGEMENT))


@pytest.fixture
def project(make_project: MakeProject, rabbitmq: str) -> Project:
    stand_in = json.dumps({"transport": {}, "lease": LEASE.total_seconds()})
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


def test_a_step_longer_than_the_acknowledgement_timeout_is_done_once(
    project: Project, stage: Stage, tmp_path: Path
) -> None:
    """C21: RabbitMQ closes the channel and queues the message again; the worker takes no more, and
    ends when its step has."""
    worker = start_worker(project, tmp_path / "first")
    other: Child | None = None
    try:
        stage.hold("dump")
        run = Run.objects.get(pk=project.json("create_backup", "--enqueue")["run"])
        stage.until_begun("dump")
        until(lambda: "PRECONDITION_FAILED" in worker.log.read_text(), "the channel is closed")

        other = start_worker(project, tmp_path / "second")
        log = other.log
        until(lambda: "backup_tasks.dump" in log.read_text(), "the message is delivered again")
        stage.release("dump")

        assert until_ended(run).state == Run.State.SUCCEEDED
        assert stage.executions("begin") == stage.executions("end") == BACKUP
        assert outcomes(run, "dump") == ["succeeded"]
        until(lambda: worker.process.poll() is not None, "the first worker has ended")
    finally:
        for child in filter(None, (worker, other)):
            child.stop()
