"""A small database per engine."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import DjangoDbBlocker

from tests.integration.engines.ground import Ground, make_ground, server_or_file
from tests.services import EVERY_ENGINE, Server, as_default_database


@pytest.fixture(params=EVERY_ENGINE)
def engine(request: pytest.FixtureRequest) -> str:
    """Runs a test once per engine that there is."""
    name: str = request.param
    return name


@pytest.fixture
def ground(
    engine: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[Ground]:
    """Live with two tables and some outside, once per engine."""
    server: Server | None = None if engine == "sqlite" else request.getfixturevalue(engine)
    name = server.new_name() if server else ""
    url = server.create_database(name) if server else ""
    project = server_or_file(engine, tmp_path, url)
    with django_db_blocker.unblock(), as_default_database(project):
        yield make_ground(project)
    if server:
        server.drop_database(name)
