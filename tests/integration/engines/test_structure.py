"""What hangs on PostgreSQL tables is there after a restore and an undo, to the letter."""

import re
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from tests.integration.engines.every_object import MADE, ROLES
from tests.integration.engines.live_database import LiveDatabase


@pytest.fixture(params=["postgres"])
def engine(request: pytest.FixtureRequest) -> str:
    """Other databases have other objects."""
    name: str = request.param
    return name


@pytest.fixture
def grown(database: LiveDatabase) -> Iterator[LiveDatabase]:
    """Live with every kind of object."""
    with database.client() as admin:
        for role in ROLES:
            admin.execute(f"DROP ROLE IF EXISTS {role}")
            admin.execute(f"CREATE ROLE {role}")
        admin.execute(MADE)
    yield database
    with database.client() as admin:
        for role in ROLES:
            admin.execute(f"DROP OWNED BY {role} CASCADE")
            admin.execute(f"DROP ROLE {role}")


def structure(database: LiveDatabase) -> str:
    """What pg_dump says of live."""
    program = shutil.which("pg_dump")
    assert program, "there is no pg_dump"
    return subprocess.run(
        [
            program,
            "--schema-only",
            "--restrict-key=x",
            "--exclude-schema=undo_*",
            "--exclude-schema=staging_*",
            database.project.database_url,
        ],
        check=True,
        capture_output=True,
        text=True,
    ).stdout


NAMES = ["planet", "moon", "probe"]


def cloned(database: LiveDatabase, generation: int) -> None:
    assert database.engine.clone(database.staging, NAMES) == []
    database.load(generation, moons=4)
    database.engine.complete(database.staging, NAMES)
    assert database.engine.differences(database.staging, NAMES) == []


def test_the_structure_is_the_same_after_a_restore_and_its_undo(grown: LiveDatabase) -> None:
    """T24, T25, T26."""
    found = structure(grown)
    cloned(grown, 2)
    grown.promote(grown.staging, grown.undo)
    grown.engine.drop(grown.staging)

    restored = structure(grown)
    assert but_for_arrays(restored) == but_for_arrays(found)
    grown.promote(grown.undo, "undo_again")
    assert but_for_arrays(structure(grown)) == but_for_arrays(found)
    grown.promote("undo_again", "undo_third")
    assert structure(grown) == restored
    grown.engine.drop("undo_third")

    cloned(grown, 3)
    grown.promote(grown.staging, "undo_last")
    grown.engine.drop(grown.staging)
    grown.engine.drop("undo_last")
    assert structure(grown) == restored


def but_for_arrays(dump: str) -> list[str]:
    """The dump without what `varchar IN (…)` is read back as, which is another text once (T26)."""
    return [ARRAY.sub("ARRAY", line) for line in dump.splitlines()]


ARRAY = re.compile(r"\(\(?ARRAY\[.*?\]\)?(?:::text\[\]\))?")
