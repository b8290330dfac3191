"""SQLite: the files that a restore makes beside live are as closed as live is."""

import os
import stat
from pathlib import Path

import pytest

from tests.integration.engines.live_database import LiveDatabase, generations

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


def mode_of(path: str | Path) -> str:
    return oct(stat.S_IMODE(Path(path).stat().st_mode))


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644])
def test_staging_and_what_is_kept_for_undo_have_the_mode_of_live(
    database: LiveDatabase, mode: int
) -> None:
    live = Path(database.project.database)
    live.chmod(mode)
    former = os.umask(0o022)
    try:
        database.make_staging()
        staged = mode_of(database.staging)
        database.promote(database.staging, database.undo)
    finally:
        os.umask(former)

    assert generations(database) == {2}
    assert (staged, mode_of(database.undo), mode_of(live)) == (oct(mode),) * 3
