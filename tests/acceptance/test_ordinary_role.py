"""What the application's own role may do is enough: it owns its database, and nothing else."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest

from edms.local.postgres import PostgresServer
from tests.acceptance.every_command import cycle
from tests.services import Project


@pytest.fixture
def owned(postgres: PostgresServer, tmp_path: Path) -> Iterator[Project]:
    """An EDMS that its role has made, on a database that it owns."""
    role, name = f"app_{uuid4().hex[:8]}", postgres.new_name()
    with psycopg.connect(postgres.url, autocommit=True) as server:
        server.execute(
            f"CREATE ROLE {role} LOGIN PASSWORD '{role}' NOSUPERUSER NOCREATEDB NOCREATEROLE"
        )
        server.execute(f"CREATE DATABASE {name} OWNER {role}")
    at = urlsplit(postgres.database_url(name))
    url = at._replace(netloc=f"{role}:{role}@{at.hostname}:{at.port}").geturl()
    project = Project(engine="postgres", folder=tmp_path, database_url=url)
    try:
        project.succeed("migrate", "--no-input", "--verbosity", "0")
        project.succeed("seed_demo")
        yield project
    finally:
        with psycopg.connect(postgres.url, autocommit=True) as server:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")
            server.execute(f"DROP ROLE {role}")


def test_the_owner_of_the_database_needs_no_further_privilege(
    owned: Project, tmp_path: Path
) -> None:
    cycle(owned, owned, tmp_path / "x.tar.zst")
