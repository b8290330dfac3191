"""What hangs on PostgreSQL tables is there after a restore and an undo, to the letter."""

import pytest

from tests.integration.engines.every_object import (
    CLONED,
    EVENTS,
    PROMOTED,
    but_for_arrays,
    load,
    structure,
)
from tests.integration.engines.live_database import LiveDatabase


@pytest.fixture(params=["postgres"])
def engine(request: pytest.FixtureRequest) -> str:
    """Other databases have other objects."""
    name: str = request.param
    return name


def cloned(database: LiveDatabase, generation: int) -> None:
    assert database.engine.clone(database.staging, CLONED) == []
    load(database, generation)
    database.engine.complete(database.staging, CLONED)
    assert database.engine.differences(database.staging, CLONED) == []


def promote(database: LiveDatabase, schema: str, keep: str) -> None:
    database.engine.promote(schema, tables=PROMOTED, apps=["space"], keep=keep, record=lambda: None)


def test_the_structure_is_the_same_after_a_restore_and_its_undo(grown: LiveDatabase) -> None:
    """T24, T25, T26, T31."""
    found = structure(grown)
    cloned(grown, 2)
    promote(grown, grown.staging, grown.undo)
    grown.engine.drop(grown.staging)

    restored = structure(grown)
    assert but_for_arrays(restored) == but_for_arrays(found)
    assert rows_by_partition(grown) == [
        ("event_2025_ab", 1),
        ("event_2025_other", 1),
        ("event_2027_0", 3),
        ("event_2027_1", 9),
        ("event_rest", 1),
        ("odd_event", 1),
    ]
    promote(grown, grown.undo, "undo_again")
    assert but_for_arrays(structure(grown)) == but_for_arrays(found)
    assert rows_by_partition(grown) == []
    promote(grown, "undo_again", "undo_third")
    assert structure(grown) == restored
    assert sum(count for _, count in rows_by_partition(grown)) == len(EVENTS)
    grown.engine.drop("undo_third")

    cloned(grown, 3)
    promote(grown, grown.staging, "undo_last")
    grown.engine.drop(grown.staging)
    grown.engine.drop("undo_last")
    assert structure(grown) == restored


def rows_by_partition(database: LiveDatabase) -> list[tuple[str, int]]:
    with database.client() as client:
        found: list[tuple[str, int]] = client.execute(
            "SELECT tableoid::regclass::text, count(*) FROM event GROUP BY 1 ORDER BY 1"
        ).fetchall()
    return found
