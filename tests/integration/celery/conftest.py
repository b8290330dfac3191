"""pytest-celery's fixtures, on local processes: one Redis and one prefork worker per test (C18)."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from pytest_celery import (
    CeleryBrokerCluster,
    CeleryTestSetup,
    CeleryTestWorker,
    CeleryWorkerCluster,
    RedisTestBroker,
)

from edms.celery import app as edms_app
from edms.local.instance import ROOT
from edms.local.ports import free_port
from edms.local.processes import start
from edms.local.redis import start_redis
from tests.integration.celery.containers import ProcessContainer, RedisProcess, WorkerProcess
from tests.integration.celery.stage import Stage, forget_connections, until
from tests.services import MakeProject, Project


@pytest.fixture
def engine() -> str:
    """Tests that concern the database override it with `parametrize`."""
    return "sqlite"


@pytest.fixture
def transport() -> dict[str, Any]:
    """Options of the broker's transport beyond celeryconfig's."""
    return {}


@pytest.fixture
def celery_settings() -> dict[str, Any]:
    """Settings of Celery beyond celeryconfig's."""
    return {}


@pytest.fixture
def lease() -> float:
    """Seconds."""
    return 60.0


@pytest.fixture
def default_redis_broker(tmp_path: Path) -> Iterator[RedisProcess]:
    port = free_port()
    folder = tmp_path / "redis"
    folder.mkdir()
    container = ProcessContainer("redis", lambda: start_redis(folder, port), port=port)
    yield RedisProcess(container)
    container.remove()


@pytest.fixture
def celery_broker_cluster(celery_redis_broker: RedisTestBroker) -> CeleryBrokerCluster:
    return CeleryBrokerCluster(celery_redis_broker)


@pytest.fixture
def celery_backend_cluster() -> None:
    """Results are in Django's database."""


@pytest.fixture
def project(
    make_project: MakeProject,
    engine: str,
    default_redis_broker: RedisProcess,
    transport: dict[str, Any],
    lease: float,
    celery_settings: dict[str, Any],
) -> Project:
    """An EDMS whose workers have stand-in verbs."""
    stand_in = json.dumps({"transport": transport, "lease": lease, "celery": celery_settings})
    return make_project(
        engine, redis_url=default_redis_broker.url, variables={"STAND_IN": stand_in}
    )


@pytest.fixture
def stage(on_project: Project) -> Stage:
    return Stage(on_project.workspace)


@pytest.fixture
def default_worker_container_cls() -> type[WorkerProcess]:
    return WorkerProcess


@pytest.fixture
def default_worker_container(
    project: Project, default_worker_command: list[str], tmp_path: Path
) -> Iterator[WorkerProcess]:
    container = ProcessContainer(
        "worker",
        lambda: start(
            "the worker",
            default_worker_command,
            log=tmp_path / "worker.log",
            env=project.env,
            cwd=ROOT,
        ),
    )
    yield WorkerProcess(container)
    container.remove()


@pytest.fixture
def celery_worker_cluster(celery_setup_worker: CeleryTestWorker) -> CeleryWorkerCluster:
    return CeleryWorkerCluster(celery_setup_worker)


class EdmsSetup(CeleryTestSetup):
    """The app is the EDMS's own, connected to this test's Redis."""

    @classmethod
    def create_setup_app(cls, celery_setup_config: Any, celery_setup_app_name: str) -> Celery:
        edms_app.conf.update(celery_setup_config)
        forget_connections(edms_app)
        return edms_app


@pytest.fixture
def celery_setup_cls() -> type[EdmsSetup]:
    return EdmsSetup


@pytest.fixture
def worker(celery_setup: CeleryTestSetup, stage: Stage) -> Iterator[CeleryTestWorker]:
    """A worker that answers, on an EDMS that this process works on too."""
    wait_for_answer(celery_setup)
    yield celery_setup.worker
    forget_connections(edms_app)


def wait_for_answer(setup: CeleryTestSetup) -> None:
    """Wait for a ping's answer: logs survive a restart, an old "ready" says nothing. A worker that
    ended instead fails the test with the end of its log."""

    def answers() -> object:
        setup.worker.container.check()
        return setup.app.control.ping(timeout=0.5)

    until(answers, "the worker answers")
