"""The awkward app, installed; and transfers of its rows between databases."""

from collections.abc import Callable, Iterator

import pytest
from pytest_django import DjangoDbBlocker

from edms.local.postgres import PostgresServer
from tests.integration.rows.transfer import Transfer, transfer_rows
from tests.services import (
    ENGINES,
    EVERY_ENGINE,
    MakeProject,
    Project,
    Templates,
    as_default_database,
)
from tests.testapp.installed import installed
from tests.testapp.tables import make_tables
from tests.testapp.zoo import populate

ROUTES = [f"{source} → {target}" for source in ENGINES for target in ENGINES]


@pytest.fixture(params=EVERY_ENGINE)
def engine(request: pytest.FixtureRequest) -> str:
    """Runs a test once per engine that there is."""
    name: str = request.param
    return name


@pytest.fixture(scope="module", autouse=True)
def awkward() -> Iterator[None]:
    with installed():
        yield


@pytest.fixture(scope="session")
def awkward_project(
    postgres: PostgresServer,  # stopped after the databases on it are dropped
    templates: Templates,
    tmp_path_factory: pytest.TempPathFactory,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[Callable[..., Project]]:
    """Call it with an engine for a project with the tables, and with `populated=True` for one with
    the rows of the zoo as well."""
    made: list[Project] = []

    def make(engine: str, *, populated: bool) -> Project:
        project = templates.copy(engine, tmp_path_factory.mktemp("awkward"), demo=False)
        made.append(project)
        with django_db_blocker.unblock(), as_default_database(project):
            make_tables()
            if populated:
                populate()
        return project

    yield make
    for project in made:
        templates.discard(project)


@pytest.fixture(scope="session")
def zoos(awkward_project: Callable[..., Project]) -> Callable[[str], Project]:
    """Call it with an engine for the project with all the rows; made once, for reading."""
    made: dict[str, Project] = {}

    def zoo(engine: str) -> Project:
        if engine not in made:
            made[engine] = awkward_project(engine, populated=True)
        return made[engine]

    return zoo


@pytest.fixture(scope="session")
def transfers(
    zoos: Callable[[str], Project],
    awkward_project: Callable[..., Project],
    tmp_path_factory: pytest.TempPathFactory,
    django_db_blocker: DjangoDbBlocker,
) -> Callable[[str], Transfer]:
    made: dict[str, Transfer] = {}

    def transfer(route: str) -> Transfer:
        if route not in made:
            source, _, target = route.partition(" → ")
            folder = tmp_path_factory.mktemp("transfer")
            with django_db_blocker.unblock():
                made[route] = transfer_rows(
                    zoos(source), awkward_project(target, populated=False), folder
                )
        return made[route]

    return transfer


@pytest.fixture(params=ROUTES)
def transfer(request: pytest.FixtureRequest, transfers: Callable[[str], Transfer]) -> Transfer:
    """The rows of the zoo, taken from one database to another; once per pair of engines."""
    return transfers(request.param)


@pytest.fixture
def zoo(
    engine: str, zoos: Callable[[str], Project], django_db_blocker: DjangoDbBlocker
) -> Iterator[Project]:
    """The project with all the rows, this process working on its database; for reading."""
    with django_db_blocker.unblock(), as_default_database(zoos(engine)):
        yield zoos(engine)


@pytest.fixture
def empty_project(
    engine: str, make_project: MakeProject, django_db_blocker: DjangoDbBlocker
) -> Iterator[None]:
    """This process works on a project without rows."""
    with django_db_blocker.unblock(), as_default_database(make_project(engine)):
        yield
