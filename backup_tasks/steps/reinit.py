"""Make staging: an empty copy of the schema, with the system's defaults."""

from __future__ import annotations

from typing import Any

from django.core.management import call_command
from django.db import connections
from django.utils.module_loading import import_string

from backup_tasks.conf import backup_settings
from backup_tasks.engines import engine_for
from backup_tasks.rows.dump import count_rows
from backup_tasks.rows.scope import full_scope, label
from backup_tasks.steps import Work


def reinit(work: Work) -> dict[str, Any]:
    """Return {"counts": {model: rows}, "files": 0} of the fresh staging.

    What an earlier attempt left is dropped first. All code that runs here, the project's
    migrations, signal handlers and seed included, finds staging behind the database's alias.
    """
    settings = backup_settings()
    alias = settings.database
    engine = engine_for(alias)
    place = engine.place("staging", work.run_id)
    engine.create(place)
    with engine.at(place):
        work.progress(0, None, "migrating staging")
        call_command("migrate", database=alias, interactive=False, verbosity=0, run_syncdb=True)
        if settings.seed:
            import_string(settings.seed)(alias)
        counts = {
            label(model): count_rows(connections[alias], model._meta.db_table)
            for model in full_scope(settings).included
        }
    return {"counts": counts, "files": 0, "place": place}
