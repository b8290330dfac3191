"""An EDMS whose admin is asked through Django's test client, with or without a broker behind it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from redis import Redis

from backup_tasks import ledger
from backup_tasks.errors import PackageNotFound
from backup_tasks.models import Package, Run
from backup_tasks.runs import chains, foreground
from edms.celery import app
from edms.local.ports import free_port
from edms.users.models import User
from tests.integration.celery.stage import forget_connections
from tests.services import Project

SignedIn = Callable[..., Client]


class Silent:
    """A `foreground.Watcher` that tells nobody."""

    def started(self, step: str, number: int, of: int) -> None:
        """A step begins."""

    def progressed(self, done: int, total: int | None = None, note: str = "") -> None:
        """It goes on."""

    def retrying(self, error: Exception, delay: float) -> None:
        """It is tried again."""

    def ended(self, result: Mapping[str, Any]) -> None:
        """It has ended."""


@contextmanager
def using_broker(url: str) -> Iterator[None]:
    """Let this process' Celery app publish there."""
    before = {name: app.conf.get(name) for name in ("broker_url", "broker_write_url")}
    app.conf.update(broker_url=url, broker_write_url=url)
    forget_connections(app)
    try:
        yield
    finally:
        app.conf.update(before)  # each its own: what is set to write wins over what comes later
        forget_connections(app)


@pytest.fixture
def signed_in(on_demo_project: Project) -> SignedIn:
    """Call it with permissions for a client that a member of the staff with just these uses."""

    def sign_in(*permissions: str) -> Client:
        user = User.objects.create_user(f"operator-{User.objects.count()}", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        client = Client()
        client.force_login(user)
        return client

    return sign_in


@pytest.fixture
def no_broker() -> Iterator[None]:
    """Nothing listens where the broker should be."""
    with using_broker(f"redis://127.0.0.1:{free_port()}/0"):
        yield


@pytest.fixture
def queue(redis_url: str) -> Iterator[Callable[[], int]]:
    """A real broker without a worker. Call it for the number of messages that wait for one."""
    url = redis_url.rpartition("/")[0] + "/7"
    with Redis.from_url(url) as server, using_broker(url):
        server.flushdb()
        yield lambda: int(server.llen("backups"))
        server.flushdb()


def run_here(kind: str, **params: Any) -> Run:
    """Execute a run in this process."""
    run = chains.start(kind, trigger="command", params=params)
    return foreground.run_here(run, watcher=Silent())


@pytest.fixture
def package(on_demo_project: Project) -> Package:
    """A package of the demonstration."""
    run = run_here("backup")
    return Package.objects.get(name=run.package)


@pytest.fixture
def failed_restore(on_demo_project: Project) -> Run:
    """A restore that failed at its first step."""
    run = chains.start("restore", trigger="command", params={"package": "nowhere.tar.zst"})
    error = PackageNotFound("no store holds it", obj="nowhere.tar.zst", hint="Look again.")
    claim = ledger.claim(run.pk, "fetch")
    assert isinstance(claim, ledger.Claim)
    ledger.fail(claim, error, traceback="Traceback of a developer's interest")
    return ledger.find(run.pk)


def path_of(package: Package, project: Project) -> Path:
    """Where the package lies."""
    return project.store / package.name
