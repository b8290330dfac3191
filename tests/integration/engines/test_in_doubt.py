"""A run that died between the swap and the commit of its record."""

from datetime import timedelta

import pytest
from django.utils import timezone

from backup_tasks.cleanup import remove_all
from backup_tasks.engines import engine_for
from backup_tasks.engines.mariadb.engine import MariaDB
from backup_tasks.models import Run
from tests.services import Project


@pytest.mark.parametrize("engine", ["mariadb"])
def test_prune_leaves_it_what_live_needs_however_long_ago_it_was(on_project: Project) -> None:
    long_ago = timezone.now() - timedelta(days=9)
    engine = engine_for("default")
    assert isinstance(engine, MariaDB)
    kept, empty = (
        engine.schema_name(
            "undo", Run.objects.create(pk=pk, state="failed", finished_at=long_ago).pk
        )
        for pk in ("restore-20261101T000000-aaaaa", "restore-20261101T000000-bbbbb")
    )
    engine.create(empty)
    engine.clone(kept, [])

    assert remove_all(dry=False).names == [empty]
    assert engine.schemas() == [kept]
