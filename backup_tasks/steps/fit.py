"""Look whether the package would fit into the database that it was made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import DatabaseError, connections

from backup_tasks.engines import Engine, engine_for
from backup_tasks.error_classification import explain, is_denial
from backup_tasks.errors import DoesNotFit, Misconfigured
from backup_tasks.package.names import in_database
from backup_tasks.restore import structure
from backup_tasks.rows.natural_keys import Model
from backup_tasks.rows.scope import full_scope, label
from backup_tasks.steps import Work, in_each_database


@in_each_database
def fit(work: Work) -> dict[str, Any]:
    """Return {"warnings"}. Nothing is restored: live's structure is cloned, without rows, and the
    clone dropped. Values need no look: a load writes them as they are stored here.

    Raises DoesNotFit for what a restore would refuse. That the role of this run lacks a privilege
    is a warning: another role may be the one that restores.
    """
    counts = work.results["dump"]["counts"]
    included = full_scope(work.settings).included
    models = [model for model in included if in_database(work.alias, label(model)) in counts]
    engine = engine_for(work.settings.database)
    try:
        return {"warnings": _look(work, engine, models) if models else []}
    except DoesNotFit as error:
        raise DoesNotFit(
            f"a restore of the package would be refused here: {error.what}",
            obj=error.obj,
            hint=f"The package is kept, and nothing is wrong with it. {error.hint}",
        ) from error
    except (Misconfigured, DatabaseError, OSError) as error:
        if not isinstance(error, Misconfigured) and not is_denial(error):
            raise
        return {"warnings": [f"a drill or a restore would be refused here: {explain(error)}"]}


def _look(work: Work, engine: Engine, models: Sequence[Model]) -> list[str]:
    """Raise what a restore of the models would refuse here. Return warnings."""
    engine.rehearse_promote([model._meta.db_table for model in models])
    work.progress(0, None, "cloning the structure")
    schema = engine.schema_name("staging", work.run_id)
    try:
        structure.clone(engine, schema, structure.all_tables(connections[engine.alias]))
    finally:
        left = engine.discard(schema)
    return left
