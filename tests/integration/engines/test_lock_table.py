"""A server with a small lock table says so before anything is built."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.db.transaction import Atomic
from pytest_django import DjangoDbBlocker

from backup_tasks.engines import Engine, engine_for
from backup_tasks.engines.postgresql import lock_table
from backup_tasks.errors import DoesNotFit
from edms.local import postgres
from tests.integration.engines import every_object
from tests.integration.engines.live_database import TABLES, LiveDatabase, run_all, server_or_file
from tests.services import as_default_database

MANY = [f"t{number}" for number in range(60)]
FEW = MANY[:3]


@pytest.fixture
def small_server(
    tmp_path: Path, django_db_blocker: DjangoDbBlocker, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Engine]:
    """One with room for some 400 locks."""
    monkeypatch.setitem(postgres.OPTIONS, "max_locks_per_transaction", "10")
    monkeypatch.setitem(postgres.OPTIONS, "max_connections", "20")
    with (
        tempfile.TemporaryDirectory(prefix="edms-locks-") as folder,
        postgres.private_postgres(Path(folder)) as server,
        django_db_blocker.unblock(),
        as_default_database(server_or_file("postgres", tmp_path, server.url)),
    ):
        for table in MANY:
            run_all(f"CREATE TABLE {table} (id serial PRIMARY KEY, text text)")
        yield engine_for("default")


def test_too_few_locks_are_told_before_anything_is_built(small_server: Engine) -> None:
    refused = r"promote and drop 60 tables takes about 6\d\d locks.* room for 4\d\d"
    with pytest.raises(DoesNotFit, match=refused) as refusal:
        small_server.clone("staging_x", MANY)
    with pytest.raises(DoesNotFit, match=refused):
        small_server.rehearse_promote(MANY)

    assert "max_locks_per_transaction" in refusal.value.hint
    assert small_server.schemas() == []

    # Few tables would be cloned; but a swap replaces what refers to them, too.
    for number in range(50):
        run_all(f"CREATE TABLE other_{number} (id bigint, t integer REFERENCES {FEW[0]})")
    with pytest.raises(DoesNotFit, match="max_locks_per_transaction"):
        small_server.rehearse_promote(FEW)


_HELD = """
    SELECT count(*) FROM (
        SELECT DISTINCT locktype, relation, classid, objid, objsubid, transactionid, virtualxid
          FROM pg_locks WHERE pid = pg_backend_pid() AND granted AND NOT fastpath) held
"""


@contextlib.contextmanager
def locks_counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Gives the numbers of locks that transactions hold at their ends."""
    held: list[int] = []
    leave = Atomic.__exit__

    def counting(self: Any, kind: Any, error: Any, traceback: Any) -> None:
        raw = connections[self.using].connection
        if kind is None and raw is not None:
            held.append(raw.execute(_HELD).fetchone()[0])
        leave(self, kind, error, traceback)

    with monkeypatch.context() as patched:
        patched.setattr(Atomic, "__exit__", counting)
        yield held


@pytest.mark.parametrize("engine", ["postgres"], indirect=True)
def test_no_transaction_takes_more_locks_than_are_told_and_not_many_less(
    grown: LiveDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        run_all(
            f"CREATE VIEW moons_{number} AS SELECT * FROM moon;"
            f"CREATE MATERIALIZED VIEW planets_{number} AS SELECT * FROM planet;"
            f"CREATE INDEX ON planets_{number} (id);"
            f"CREATE TABLE orbit_{number} (id bigint, moon_id bigint REFERENCES moon)"
        )
    with grown.engine.live.cursor() as cursor:
        told = lock_table.locks_needed(cursor, "public", every_object.CLONED)

    with locks_counted(monkeypatch) as held:
        assert grown.engine.clone(grown.staging, every_object.CLONED) == []
        with grown.engine.at(grown.staging), grown.engine.loading(TABLES, attempt=1):
            grown.engine.copy_from_live(TABLES)
        grown.engine.complete(grown.staging, every_object.CLONED)
        grown.rehearse(every_object.PROMOTED)
        grown.engine.promote(
            grown.staging,
            tables=every_object.PROMOTED,
            apps=["space"],
            keep=grown.undo,
            record=lambda: None,
        )
        grown.engine.drop(grown.staging)
        grown.engine.drop(grown.undo)

    assert max(held) <= told < max(held) * 2
