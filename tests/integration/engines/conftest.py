"""A small database per engine, and a project whose work is shared with workers."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pytest_django import DjangoDbBlocker, Settings

from backup_tasks.rows import worker_pool
from tests.integration.engines.live_database import LiveDatabase, make_live_database, server_or_file
from tests.integration.engines.walled import LIVE
from tests.services import EVERY_ENGINE, MakeProject, Project, Server, as_default_database

After = Callable[[ModuleType, str, Callable[[], bool]], None]


@pytest.fixture(params=EVERY_ENGINE)
def engine(request: pytest.FixtureRequest) -> str:
    """Runs a test once per engine that there is."""
    name: str = request.param
    return name


@pytest.fixture
def database(
    engine: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[LiveDatabase]:
    """Live with two tables and some outside, once per engine."""
    server: Server | None = None if engine == "sqlite" else request.getfixturevalue(engine)
    name = server.new_name() if server else ""
    url = server.create_database(name) if server else ""
    project = server_or_file(engine, tmp_path, url)
    with django_db_blocker.unblock(), as_default_database(project):
        yield make_live_database(project)
    if server:
        server.drop_database(name)


@pytest.fixture
def demo(
    make_project: MakeProject,
    django_db_blocker: DjangoDbBlocker,
    monkeypatch: pytest.MonkeyPatch,
    settings: Settings,
) -> Iterator[Project]:
    """A project on PostgreSQL, whose few rows are worth a worker."""
    project = make_project("postgres", demo=True)
    settings.SETTINGS_MODULE = "edms.settings"  # workers don't have the settings of a test
    monkeypatch.setattr(worker_pool, "BYTES_PER_WORKER", 1)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    for name, value in project.env.items():
        monkeypatch.setenv(name, value)
    with django_db_blocker.unblock(), as_default_database(project):
        yield project


@pytest.fixture
def done_by_workers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The models that workers did."""
    names: list[str] = []
    ask = worker_pool._PoolWorker._request

    def asked(worker: Any, job: worker_pool.Job) -> Any:
        found = ask(worker, job)
        names.append(job.codec.label)
        return found

    monkeypatch.setattr(worker_pool._PoolWorker, "_request", asked)
    return names


@pytest.fixture
def kill_workers(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From the call on, workers are killed as soon as they are asked for a model."""
    say = worker_pool._PoolWorker._send

    def killed(worker: Any, line: str) -> None:
        say(worker, line)
        if '"model"' in line:
            worker._process.kill()

    return lambda: monkeypatch.setattr(worker_pool._PoolWorker, "_send", killed)


@pytest.fixture
def after(monkeypatch: pytest.MonkeyPatch) -> After:
    """Let this process do nothing until something has happened: workers take a second to start,
    and there is little to do. Called with what it would do, and when it may."""

    def wait(module: ModuleType, name: str, happened: Callable[[], bool]) -> None:
        do = getattr(module, name)

        def patiently(*arguments: Any) -> Any:
            deadline = time.monotonic() + 60
            while not happened():
                assert time.monotonic() < deadline, "workers did nothing"
                time.sleep(0.05)
            return do(*arguments)

        monkeypatch.setattr(module, name, patiently)

    return wait


@pytest.fixture
def walled(ground: Ground) -> Ground:
    """Live with functions and types, and a loaded staging."""
    with ground.client() as admin:
        admin.execute(LIVE)
    ground.make_staging()
    return ground
