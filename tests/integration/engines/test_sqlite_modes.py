"""SQLite: the files that a restore makes beside live are as closed as live is."""

import os
import stat
from pathlib import Path

import pytest

from tests.integration.engines.ground import Ground, generations

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


def mode_of(path: str | Path) -> str:
    return oct(stat.S_IMODE(Path(path).stat().st_mode))


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644])
def test_staging_and_what_is_kept_for_undo_have_the_mode_of_live(ground: Ground, mode: int) -> None:
    live = Path(ground.project.database)
    live.chmod(mode)
    former = os.umask(0o022)
    try:
        ground.make_staging()
        staged = mode_of(ground.staging)
        ground.promote(ground.staging, ground.undo)
    finally:
        os.umask(former)

    assert generations(ground) == {2}
    assert (staged, mode_of(ground.undo), mode_of(live)) == (oct(mode),) * 3
