"""A project of two databases. Each engine has the ledger once, and is the further one once."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pytest_django import DjangoDbBlocker, Settings

from tests.acceptance.contents import Contents, contents
from tests.aliases import alias_of
from tests.services import MakeProject, Project, as_default_database

PAIRS = [("sqlite", "postgres"), ("postgres", "mariadb"), ("mariadb", "sqlite")]


@dataclass(frozen=True, kw_only=True)
class Two:
    """The two databases of one project, each made with an EDMS of its own."""

    first: Project
    archive: Project
    package: Path

    def contents(self) -> tuple[Contents, Contents]:
        return contents(self.first), contents(self.archive)


@pytest.fixture(params=PAIRS, ids=" + ".join)
def pair(request: pytest.FixtureRequest) -> tuple[str, str]:
    """The engine of the first database, and that of the other one."""
    names: tuple[str, str] = request.param
    return names


@pytest.fixture
def make_two(
    make_project: MakeProject,
    settings: Settings,
    django_db_blocker: DjangoDbBlocker,
    tmp_path: Path,
) -> Callable[[str, str], Iterator[Two]]:
    """Call it with the two engines."""

    def make(first: str, archive: str) -> Iterator[Two]:
        two = Two(
            first=make_project(first, demo=True),
            archive=make_project(archive),
            package=tmp_path / "several.tar.zst",
        )
        settings.MEDIA_ROOT = str(two.first.media)
        settings.BACKUP = {**settings.BACKUP, "DATABASES": ["default", "archive"]}
        with (
            django_db_blocker.unblock(),
            as_default_database(two.first),
            alias_of("archive", two.archive),
        ):
            yield two

    return make


@pytest.fixture
def two(pair: tuple[str, str], make_two: Callable[[str, str], Iterator[Two]]) -> Iterator[Two]:
    """A project with the demonstration data in `default`, and the system's defaults in `archive`;
    once per pair of engines. This process works on it."""
    yield from make_two(*pair)


@pytest.fixture
def two_files(make_two: Callable[[str, str], Iterator[Two]]) -> Iterator[Two]:
    """The same on SQLite, for what no engine decides."""
    yield from make_two("sqlite", "sqlite")
