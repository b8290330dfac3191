"""Fixtures: real services, EDMS instances, and folders that keep what a test writes."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pytest_django import DjangoDbBlocker, Settings

from edms.local.mariadb import MariaDBServer, mariadb_server
from edms.local.postgres import PostgresServer, postgres_server
from edms.local.redis import redis_server
from tests.s3 import Bucket, s3_server
from tests.services import (
    ENGINES,
    MakeProject,
    Project,
    Templates,
    as_default_database,
    given,
)


@pytest.fixture(autouse=True)
def own_folders(settings: Settings, tmp_path: Path) -> None:
    """What a test writes through Django's settings lands in the test's folder."""
    settings.MEDIA_ROOT = str(tmp_path / "media")
    settings.STORAGES = {
        **settings.STORAGES,
        "backups": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": str(tmp_path / "backups")},
        },
    }
    settings.BACKUP = {**settings.BACKUP, "WORKSPACE": str(tmp_path / "workspace")}


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Redis, for the whole session."""
    yield from given(redis_server(tmp_path_factory.mktemp("redis")))


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    """A real S3 API, for the whole session."""
    with s3_server() as url:
        yield url


@pytest.fixture
def bucket(s3_url: str) -> Bucket:
    """A bucket of the test's own."""
    bucket = Bucket(endpoint=s3_url)
    bucket.client.create_bucket(Bucket=bucket.name)
    return bucket


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A real PostgreSQL server, for the whole session."""
    yield from given(postgres_server())


@pytest.fixture(scope="session")
def start_mariadb() -> Iterator[Callable[[], MariaDBServer]]:
    """Call it for a real MariaDB server, which the first call starts for the whole session."""
    with ExitStack() as stack:
        yield cache(lambda: stack.enter_context(contextmanager(given)(mariadb_server())))


@pytest.fixture(scope="session")
def mariadb(start_mariadb: Callable[[], MariaDBServer]) -> MariaDBServer:
    """A real MariaDB server, for the whole session."""
    return start_mariadb()


@pytest.fixture(scope="session")
def postgres_url(postgres: PostgresServer) -> str:
    """Of a database whose role may create others."""
    return postgres.url


@pytest.fixture
def fresh_postgres_database(postgres: PostgresServer) -> Iterator[Callable[[], str]]:
    """Call it for the URL of a new, empty database; all are dropped after the test."""
    made: list[str] = []

    def create() -> str:
        made.append(postgres.new_name())
        return postgres.create_database(made[-1])

    yield create
    for name in made:
        postgres.drop_database(name)


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """Runs a test once per database engine."""
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def templates(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    start_mariadb: Callable[[], MariaDBServer],
) -> Templates:
    """What projects are copied from. A server is started by the first that needs it."""
    return Templates(
        folder=tmp_path_factory.mktemp("templates"),
        servers={
            "postgres": lambda: request.getfixturevalue("postgres"),
            "mariadb": start_mariadb,
        },
    )


@pytest.fixture
def make_project(templates: Templates, tmp_path: Path) -> Iterator[MakeProject]:
    """Call it with an engine (and `demo=True` for the demonstration data, `redis_url=…`,
    `variables={…}`) for an EDMS of one's own; all are dropped after the test."""
    with ExitStack() as stack:

        def make(engine: str, *, demo: bool = False, **instance: Any) -> Project:
            folder = tmp_path / f"project-{uuid4().hex[:6]}"
            folder.mkdir()
            project = templates.copy(engine, folder, demo=demo, **instance)
            stack.callback(templates.discard, project)
            return project

        yield make


@pytest.fixture
def project(make_project: MakeProject, engine: str) -> Project:
    """An EDMS with the system's defaults only, once per engine."""
    return make_project(engine)


@pytest.fixture
def demo_project(make_project: MakeProject, engine: str) -> Project:
    """An EDMS with the demonstration data and its files, once per engine."""
    return make_project(engine, demo=True)


@pytest.fixture
def on_project(
    project: Project, settings: Settings, django_db_blocker: DjangoDbBlocker
) -> Iterator[Project]:
    """`project`, with this process working on its database (no rollback: it is thrown away)."""
    yield from _inside(project, settings, django_db_blocker)


@pytest.fixture
def on_demo_project(
    demo_project: Project, settings: Settings, django_db_blocker: DjangoDbBlocker
) -> Iterator[Project]:
    """`demo_project`, with this process working on its database and files."""
    yield from _inside(demo_project, settings, django_db_blocker)


def _inside(project: Project, settings: Settings, blocker: DjangoDbBlocker) -> Iterator[Project]:
    settings.MEDIA_ROOT = str(project.media)
    backups = {**settings.STORAGES["backups"], "OPTIONS": {"location": str(project.store)}}
    settings.STORAGES = {**settings.STORAGES, "backups": backups}
    settings.BACKUP = {**settings.BACKUP, "WORKSPACE": str(project.workspace)}
    with blocker.unblock(), as_default_database(project):
        yield project
