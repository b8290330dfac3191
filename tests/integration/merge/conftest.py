"""Projects with the doubles of common apps, and merges of one into another."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from pytest_django import DjangoDbBlocker

from tests.acceptance.merging import working_on
from tests.commonapps.installed import installed, make_tables
from tests.integration.rows.transfer import run
from tests.services import EVERY_ENGINE, MakeProject

OnProject = Callable[[], AbstractContextManager[None]]


@pytest.fixture(params=EVERY_ENGINE)
def engine(request: pytest.FixtureRequest) -> str:
    """Runs a test once per engine that there is."""
    name: str = request.param
    return name


@pytest.fixture(scope="module", autouse=True)
def common_apps() -> Iterator[None]:
    with installed():
        yield


@pytest.fixture
def on_new_project(
    engine: str, make_project: MakeProject, django_db_blocker: DjangoDbBlocker
) -> OnProject:
    """Call it for a context in which this process works on a project of its own, with the tables of
    the common apps."""

    @contextmanager
    def work() -> Iterator[None]:
        with django_db_blocker.unblock(), working_on(make_project(engine)):
            make_tables()
            yield

    return work


@pytest.fixture
def packed(on_new_project: OnProject, tmp_path: Path) -> Callable[[Callable[[], None]], Path]:
    """Call it with what fills a project for the package of that project."""

    def pack(fill: Callable[[], None]) -> Path:
        package = tmp_path / "source.tar"
        with on_new_project():
            fill()
            run("backup", output=str(package))
        return package

    return pack
