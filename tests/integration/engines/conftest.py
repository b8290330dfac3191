"""A small database per engine."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pytest_django import DjangoDbBlocker

from tests.integration.engines.ground import Ground, make_ground, server_or_file
from tests.services import as_default_database


@pytest.fixture
def ground(
    engine: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[Ground]:
    """Live with two tables and one outside, once per engine."""
    url = ""
    if engine == "postgres":
        create: Callable[[], str] = request.getfixturevalue("fresh_postgres_database")
        url = create()
    project = server_or_file(engine, tmp_path, url)
    with django_db_blocker.unblock(), as_default_database(project):
        yield make_ground(project)
