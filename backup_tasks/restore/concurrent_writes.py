"""What clients wrote into live after it was backed up, and before it was replaced.

Nobody is locked out while a restore is built, so live goes on. What a promote replaced is kept, and
kept still: there it is compared with what the safety backup holds, after the commit, so that nobody
waits for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.db import connections

from backup_tasks.conf import BackupSettings
from backup_tasks.engines import Engine
from backup_tasks.errors import DumpFailed
from backup_tasks.ledger.report import Results, Written
from backup_tasks.restore.contents import models_referred_to
from backup_tasks.rows.codec import RowCodec
from backup_tasks.rows.dump import count_rows, dump_model
from backup_tasks.rows.identities import settled_identities
from backup_tasks.rows.natural_keys import Model
from backup_tasks.rows.scope import label

_COUNTED_BY = ("safety", "dump", "snapshot")


def written_since_backup(
    engine: Engine, kept: str, models: Sequence[Model], results: Results, settings: BackupSettings
) -> dict[str, Written]:
    """Return what is not the same in the kept tables as when live was backed up, or only counted
    where it was not; by model label.

    Counts are exact. Rows that were changed in place are found by their digest, where there was a
    safety backup, and for models whose references do not lead out of what was replaced.
    """
    before = next((results[step] for step in _COUNTED_BY if "counts" in results.get(step, {})), {})
    counts: Mapping[str, int] = before.get("counts", {})
    digests: Mapping[str, str] = before.get("exact", {})
    with engine.at(kept):
        connection = connections[settings.database]
        known = [model for model in models if label(model) in counts]
        whole = [
            model
            for model in known
            if label(model) in digests and set(models).issuperset(models_referred_to([model]))
        ]
        identities, _ = settled_identities(connection, whole, settings.natural_keys)
        found = {}
        for model in known:
            name, table = label(model), model._meta.db_table
            replaced, same = count_rows(connection, table), None
            if model in whole:
                same = _digest(RowCodec(model, identities, connection)) in (digests[name], None)
            if replaced != counts[name] or same is False:
                found[name] = Written(backed_up=counts[name], replaced=replaced)
        return found


def _digest(codec: RowCodec) -> str | None:
    """Return the digest, None for rows that can't be read: they are kept all the same."""
    try:
        return dump_model(codec, None, lambda rows: None).exact
    except DumpFailed:
        return None


def concurrent_writes_warning(
    written: Mapping[str, Written], until: str, safety: Mapping[str, Any]
) -> Iterator[str]:
    """Yield the warning that says so, if anything was written."""
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
