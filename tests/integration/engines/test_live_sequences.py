"""What draws from a sequence of live in staging is refused, also where all of it was rolled back
(PostgreSQL); the sequence gives no number twice, and the refusal says where it stands."""

from collections.abc import Callable
from contextlib import suppress

import pytest
from django.db import DatabaseError, connections, transaction

from backup_tasks.errors import LeftStaging
from tests.integration.engines.live_database import LiveDatabase, run_all

SEQUENCE = "public.planet_id_seq"
DRAW = f"SELECT nextval('{SEQUENCE}')"


@pytest.fixture(params=["postgres"])
def engine(request: pytest.FixtureRequest) -> str:
    """Other databases have no schemas."""
    name: str = request.param
    return name


def _drawn(database: LiveDatabase, times: int = 1, sequence: str = SEQUENCE) -> int:
    """The last of so many numbers that another client draws."""
    with database.client() as client:
        for _ in range(times):
            (number,) = client.execute(f"SELECT nextval('{sequence}')").fetchone()
    return int(number)


def _refused(database: LiveDatabase, use: Callable[[str], None], text: str) -> LeftStaging:
    def go() -> None:
        with database.engine.at(database.staging):
            connections["default"].ensure_connection()
            use(text)

    with pytest.raises(LeftStaging) as raised:
        go()
    return raised.value


def _committed(text: str) -> None:
    run_all(text)


def _in_a_savepoint_that_is_rolled_back(text: str) -> None:
    with transaction.atomic(), suppress(ZeroDivisionError), transaction.atomic():
        run_all(text)
        raise ZeroDivisionError


def _in_a_savepoint_that_fails(text: str) -> None:
    with transaction.atomic(), suppress(DatabaseError), transaction.atomic():
        run_all(f"{text}; SELECT 1 / 0")


def _in_a_transaction_that_is_rolled_back(text: str) -> None:
    with suppress(ZeroDivisionError), transaction.atomic():
        run_all(text)
        raise ZeroDivisionError


def _in_a_transaction_that_fails(text: str) -> None:
    with suppress(DatabaseError), transaction.atomic():
        run_all(f"{text}; SELECT 1 / 0")


def _in_a_statement_that_fails(text: str) -> None:
    with suppress(DatabaseError):
        run_all(f"{text}, 1 / (random() * 0)::int")


def _in_a_failing_transaction_of_the_drivers(text: str) -> None:
    raw = connections["default"].connection
    with suppress(ZeroDivisionError), raw.transaction():
        raw.execute(text)
        raise ZeroDivisionError


def _on_a_connection_that_is_closed(text: str) -> None:
    with suppress(DatabaseError), transaction.atomic():
        run_all(f"{text}; SELECT 1 / 0")
    connections["default"].close()
    run_all("SELECT 1")


WAYS = (
    _committed,
    _in_a_savepoint_that_is_rolled_back,
    _in_a_savepoint_that_fails,
    _in_a_transaction_that_is_rolled_back,
    _in_a_transaction_that_fails,
    _in_a_statement_that_fails,
    _in_a_failing_transaction_of_the_drivers,
    _on_a_connection_that_is_closed,
)


@pytest.mark.parametrize("way", WAYS)
def test_a_number_that_was_drawn_is_a_gap_and_said_to_be_one(
    walled: LiveDatabase, way: Callable[[str], None]
) -> None:
    last = _drawn(walled, 30)

    refusal = _refused(walled, way, DRAW)

    assert f"{SEQUENCE} stood at {last}, was at {last + 1}" in refusal.what
    assert "put right" not in refusal.what
    assert "a gap" in refusal.hint
    assert _drawn(walled) == last + 2, "it is not given back: others may have drawn since"


@pytest.mark.parametrize("way", WAYS)
def test_a_sequence_that_was_set_back_gives_no_number_again(
    walled: LiveDatabase, way: Callable[[str], None]
) -> None:
    last = _drawn(walled, 30)

    refusal = _refused(walled, way, f"SELECT setval('{SEQUENCE}', 1)")

    assert f"{SEQUENCE} stood at {last}, was at 1 and is put right to {last}" in refusal.what
    assert _drawn(walled) == last + 1


@pytest.mark.parametrize("way", WAYS[:4])
@pytest.mark.parametrize("to", [1, 30])
def test_nor_does_one_that_was_set_as_if_it_had_not_been_called(
    walled: LiveDatabase, way: Callable[[str], None], to: int
) -> None:
    last = _drawn(walled, 30)

    refusal = _refused(walled, way, f"SELECT setval('{SEQUENCE}', {to}, false)")

    assert f"stood at {last}, was at its start and is put right to {last}" in refusal.what
    assert _drawn(walled) == last + 1


def test_nor_does_one_that_counts_down(walled: LiveDatabase) -> None:
    with walled.client() as client:
        client.execute("CREATE SEQUENCE falling INCREMENT -1")
    last = _drawn(walled, 30, "falling")
    for text in ("SELECT nextval('public.falling')", "SELECT setval('public.falling', -1)"):
        _refused(walled, _in_a_savepoint_that_is_rolled_back, text)
    assert (last, _drawn(walled, sequence="falling")) == (-30, -32)


def test_one_that_was_set_far_ahead_stays_there_and_the_refusal_has_both_numbers(
    walled: LiveDatabase,
) -> None:
    last = _drawn(walled, 30)

    refusal = _refused(walled, _in_a_transaction_that_fails, f"SELECT setval('{SEQUENCE}', 9999)")

    assert f"{SEQUENCE} stood at {last}, was at 9999" in refusal.what
    assert "setval" in refusal.hint


def test_what_failed_besides_is_said_too(walled: LiveDatabase) -> None:
    def fail(text: str) -> None:
        with transaction.atomic(), connections["default"].cursor() as cursor:
            cursor.execute(text)

    refusal = _refused(walled, fail, f"{DRAW}; SELECT nextval('public.none')")
    assert 'relation "public.none" does not exist' in refusal.what


def test_numbers_that_others_draw_meanwhile_are_no_alarm(walled: LiveDatabase) -> None:
    def failing() -> None:
        with transaction.atomic():
            run_all("SELECT 1 / 0")

    with walled.engine.at(walled.staging):
        with transaction.atomic():
            _drawn(walled)
            run_all("INSERT INTO planet (name) VALUES ('drawn from staging')")
        with suppress(DatabaseError):
            failing()
        _drawn(walled)

    def uncaught() -> None:
        with walled.engine.at(walled.staging):
            _drawn(walled)
            failing()

    with pytest.raises(DatabaseError, match="division by zero"):
        uncaught()
