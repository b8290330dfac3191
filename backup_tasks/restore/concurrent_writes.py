"""Concurrent writes: what clients wrote to live after it was backed up and before it was replaced.

Clients are not locked out while a restore is built. The undo schema does not change after the
promote, so it is compared with the safety backup after the commit, when no client waits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.db import connections

from backup_tasks.conf import BackupSettings
from backup_tasks.engines import Engine
from backup_tasks.errors import DumpFailed
from backup_tasks.ledger.report import Results, Written
from backup_tasks.package.names import in_database
from backup_tasks.restore.contents import models_referred_to
from backup_tasks.rows.codec import RowCodec
from backup_tasks.rows.databases import further_alias
from backup_tasks.rows.dump import count_rows, dump_model
from backup_tasks.rows.identities import settled_identities
from backup_tasks.rows.natural_keys import Model
from backup_tasks.rows.scope import label

_COUNTED_BY = ("safety", "dump", "snapshot")


def written_since_backup(
    engine: Engine, kept: str, models: Sequence[Model], results: Results, settings: BackupSettings
) -> dict[str, Written]:
    """Return the models whose rows in the undo schema `kept` differ from the backup, by label.

    Without a backup, the counts of the snapshot step are compared. Rows that were updated are found
    by their digest. That needs a safety backup, and a model that refers to replaced models only.
    """
    before = next((results[step] for step in _COUNTED_BY if "counts" in results.get(step, {})), {})
    counts: Mapping[str, int] = before.get("counts", {})
    digests: Mapping[str, str] = before.get("exact", {})

    def name_of(model: Model) -> str:
        return in_database(further_alias(settings), label(model))

    with engine.at(kept):
        connection = connections[settings.database]
        known = [model for model in models if name_of(model) in counts]
        whole = [
            model
            for model in known
            if name_of(model) in digests
            and set(models).issuperset(models_referred_to([model], settings.database))
        ]
        identities, _ = settled_identities(connection, whole, settings.natural_keys)
        found = {}
        for model in known:
            name, table = name_of(model), model._meta.db_table
            replaced, same = count_rows(connection, table), None
            if model in whole:
                same = _digest(RowCodec(model, identities, connection)) in (digests[name], None)
            if replaced != counts[name] or same is False:
                found[name] = Written(backed_up=counts[name], replaced=replaced)
        return found


def _digest(codec: RowCodec) -> str | None:
    """Return the exact digest, None where a row can't be read. The undo schema keeps it anyway."""
    try:
        return dump_model(codec, None, lambda rows: None).exact
    except DumpFailed:
        return None


def concurrent_writes_warning(
    written: Mapping[str, Written], until: str, safety: Mapping[str, Any]
) -> Iterator[str]:
    """Yield a warning if anything was written."""
    if not written:
        return
    rows = ", ".join(f"{name} {_change(figures)}" for name, figures in written.items())
    holder = f"the package {safety['package']} does not hold it" if safety else "no package does"
    yield (
        f"written into live while the restore was built, and replaced: {rows}. `undo_restore` "
        f"brings it back until {until}; {holder}"
    )


def _change(figures: Written) -> str:
    more = figures["replaced"] - figures["backed_up"]
    return f"({more:+,} rows)" if more else "(rows changed)"
