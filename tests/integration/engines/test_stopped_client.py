"""The server ends a transaction whose client is silent for too long, and no other."""

import time

import pytest
from django.db import DatabaseError, connection

from backup_tasks.engines import stopped_client
from backup_tasks.engines.mariadb.rename_swap import RenameSwap
from backup_tasks.engines.stopped_client import bounded_transaction
from backup_tasks.error_classification import explain
from backup_tasks.errors import DatabaseUnavailable
from tests.integration.celery.stage import until
from tests.integration.engines.live_database import LiveDatabase, generations

ON_A_SERVER = pytest.mark.parametrize("engine", ["postgres", "mariadb"], indirect=True)
OTHERS = {
    "postgres": "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    " AND pid <> pg_backend_pid()",
    "mariadb": "SELECT count(*) FROM information_schema.processlist WHERE db = database()"
    " AND id <> connection_id()",
}


@ON_A_SERVER
def test_a_silent_transaction_is_ended_and_that_is_worth_another_try(
    database: LiveDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(stopped_client.IDLE_SECONDS, "nothing", 1)
    before = database.live()

    def be_silent() -> None:
        with (
            database.client() as client,
            bounded_transaction("default"),
            connection.cursor() as cursor,
        ):
            cursor.execute("DELETE FROM probe")
            until(
                lambda: not client.execute(OTHERS[database.project.engine]).fetchall()[0][0],
                "the server has ended the session",
            )
            cursor.execute("SELECT 1")

    with pytest.raises(DatabaseError) as ended:
        be_silent()

    assert isinstance(explain(ended.value), DatabaseUnavailable)
    assert database.live() == before
    with bounded_transaction("default"), connection.cursor() as cursor:
        cursor.execute("DELETE FROM probe")
    assert database.live()["probe"] == []


@ON_A_SERVER
def test_the_limit_goes_with_the_transaction(database: LiveDatabase) -> None:
    shown = {
        "postgres": "SELECT current_setting('idle_in_transaction_session_timeout'),"
        " current_setting('tcp_user_timeout')",
        "mariadb": "SELECT @@SESSION.idle_transaction_timeout",
    }[database.project.engine]

    def limits() -> tuple[object, ...]:
        with connection.cursor() as cursor:
            cursor.execute(shown)
            found: tuple[object, ...] = cursor.fetchone()
            return found

    before = limits()
    with bounded_transaction("default"):
        inside = limits()
        with bounded_transaction("default", between="project code"):
            assert limits() == inside, "the outer one's"

    assert inside in [("10s", "10000"), ("10s", "0"), (10,)]  # none of TCP's on a local socket
    assert limits() == before != inside


@pytest.mark.parametrize("engine", ["mariadb"], indirect=True)
def test_a_swap_of_many_statements_is_not_taken_for_silence(
    database: LiveDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The transaction that holds the step waits for them, on another connection."""
    monkeypatch.setitem(stopped_client.IDLE_SECONDS, "another connection", 1)
    database.make_staging(generation=2)
    swap = RenameSwap.run

    def slowly(self: RenameSwap, cursor: object) -> None:
        for _ in range(3):
            time.sleep(0.7)  # as a statement does that takes so long
            cursor.execute("SELECT 1")  # type: ignore[attr-defined]
        swap(self, cursor)

    monkeypatch.setattr(RenameSwap, "run", slowly)
    database.promote(database.staging, database.undo, record=database.note)

    assert generations(database) == {2}
    assert [entry for _, entry in database.live()["ledger"]] == ["promoted"]
