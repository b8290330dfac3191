"""A small project per engine, with two packages: whichever is live, the other can be restored.

It lives through all tests, and every death that they order.
"""

from collections.abc import Iterator

import pytest

from edms.local.mariadb import MariaDBServer
from edms.local.postgres import PostgresServer
from tests.chaos.subject import Subject, fill, project_in, subject_of
from tests.services import EVERY_ENGINE


@pytest.fixture(params=EVERY_ENGINE)
def engine(request: pytest.FixtureRequest) -> str:
    """Runs a test once per database engine."""
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def sqlite_subject(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    yield from _subject(tmp_path_factory, "sqlite", "")


@pytest.fixture(scope="session")
def postgres_subject(
    tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer
) -> Iterator[Subject]:
    name = postgres.new_name()
    yield from _subject(tmp_path_factory, "postgres", postgres.create_database(name))
    postgres.drop_database(name)


@pytest.fixture(scope="session")
def mariadb_subject(
    tmp_path_factory: pytest.TempPathFactory, mariadb: MariaDBServer
) -> Iterator[Subject]:
    name = mariadb.new_name()
    yield from _subject(tmp_path_factory, "mariadb", mariadb.create_database(name))
    mariadb.drop_database(name)


@pytest.fixture
def subject(request: pytest.FixtureRequest, engine: str) -> Subject:
    """Once per engine."""
    found: Subject = request.getfixturevalue(f"{engine}_subject")
    return found


def _subject(tmp_path_factory: pytest.TempPathFactory, engine: str, url: str) -> Iterator[Subject]:
    folder = tmp_path_factory.mktemp(f"chaos-{engine}")
    project = project_in(folder / "project", engine, url)
    with subject_of(project) as subject:
        for generation in ("a", "b"):
            package = folder / f"{generation}.tar.zst"
            fill(project, generation)
            subject.succeed("create_backup", "--output", package)
            subject.packages[generation] = package
            subject.states[generation] = subject.state()
        yield subject
