"""A server with a small lock table says so before a clone is begun."""

import tempfile
from pathlib import Path

import pytest
from django.db import connections
from pytest_django import DjangoDbBlocker

from backup_tasks.engines import engine_for
from backup_tasks.errors import DoesNotFit
from edms.local import postgres
from tests.integration.engines.live_database import server_or_file
from tests.services import as_default_database

TABLES = [f"t{number}" for number in range(20)]


def test_too_few_locks_are_told_before_anything_is_built(
    tmp_path: Path, django_db_blocker: DjangoDbBlocker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(postgres.OPTIONS, "max_locks_per_transaction", "10")
    monkeypatch.setitem(postgres.OPTIONS, "max_connections", "20")
    with (
        tempfile.TemporaryDirectory(prefix="edms-locks-") as folder,
        postgres.private_postgres(Path(folder)) as server,
        django_db_blocker.unblock(),
        as_default_database(server_or_file("postgres", tmp_path, server.url)),
    ):
        with connections["default"].cursor() as cursor:
            for table in TABLES:
                cursor.execute(f"CREATE TABLE {table} (id serial PRIMARY KEY, text text)")
        engine = engine_for("default")

        with pytest.raises(DoesNotFit, match="20 tables takes about 250 locks") as refusal:
            engine.clone("staging_x", TABLES)

        assert "max_locks_per_transaction" in refusal.value.hint
        assert engine.schemas() == []
