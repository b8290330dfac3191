"""The steps of the chains, one verb and one file each. A step does not import Celery, the ledger's
tables or other steps. It gets a `Work`, and returns what later steps need.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import wraps
from pathlib import Path
from typing import Any

from django.db import DatabaseError, InterfaceError

from backup_tasks.conf import BackupSettings, backup_settings
from backup_tasks.engines import Engine, engine_for
from backup_tasks.error_classification import explain
from backup_tasks.errors import BackupError
from backup_tasks.ledger.report import Results
from backup_tasks.models import Run
from backup_tasks.package.manifest import Manifest
from backup_tasks.package.names import in_database
from backup_tasks.progress import Progress
from backup_tasks.restore import undo_points
from backup_tasks.restore.contents import unpacked_manifest
from backup_tasks.restore.rehearsal import replaced_models
from backup_tasks.rows.databases import each_database, further_alias
from backup_tasks.rows.natural_keys import Model


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a step is given."""

    run_id: str
    attempt: int
    """Number of the step's attempt. It grows, and is the fencing token."""
    kind: str
    """The run's kind, a `Run.Kind`."""
    params: Mapping[str, Any]
    """Parameters of the run, documented at `chains.start`."""
    results: Mapping[str, Mapping[str, Any]]
    """Results of the run's finished steps, by step name."""
    hosts: Mapping[str, str]
    """The host that executed each of these steps, by step name."""
    workspace: Path
    """The run's own folder, shared by its steps. Exists."""
    progress: Progress
    """Keeps the figures in memory, and the heartbeat writes them, so it is cheap. Raises LeaseLost
    or Cancelled when the heartbeat has seen that the step must stop. Call it in every loop."""
    still_mine: Callable[[], None]
    """Raises LeaseLost if another worker holds the step, Cancelled if the run was cancelled.
    Inside a transaction on live it locks the step's row until the commit, so that only the holder
    commits."""
    holds: Callable[[], None]
    """Raises what `still_mine` raises, but neither extends the lease nor locks a row."""
    reads: Callable[[str, str], None]
    """Records the name and SHA-256 ("" if unknown) of the package that the run reads. Call it as
    soon as they are known, so that the ledger has them if the step fails."""
    settings: BackupSettings = field(default_factory=backup_settings)
    """The project's; `database` is the one that this part of the step works on."""
    recorded: bool = True
    """Whether the run is in the ledger. A verification also runs without one."""

    @property
    def alias(self) -> str:
        """The alias of a further database that this part of the step works on; "" for the first."""
        return further_alias(self.settings)

    def each_database(self) -> list[Work]:
        """Return the parts of the step, one for each database that is backed up, the ledger's
        first. Each has the results of its own database."""
        return [
            replace(self, settings=each, results=_results_of(further_alias(each), self.results))
            for each in each_database(self.settings)
        ]

    @contextmanager
    def named(self) -> Iterator[None]:
        """Let errors name the database, if it is a further one."""
        try:
            yield
        except (BackupError, DatabaseError, InterfaceError) as raised:
            if not self.alias:
                raise
            raise explain(raised).within(f"database {self.alias}") from raised

    def manifest(self) -> Manifest:
        """Return what the unpacked package says of this part's database, reduced to what is
        restored. Raises what `contents.unpacked_manifest` raises."""
        return unpacked_manifest(self.workspace / "in", self.params).part(self.alias)

    def replaced_models(self) -> list[Model]:
        """Return the models whose tables a promote replaces in this part's database."""
        manifest = None if self.kind == Run.Kind.REINIT else self.manifest()
        return replaced_models(manifest, self.settings)

    def discard_staging(self) -> list[str]:
        """Drop the staging of each database. Return why something could not be dropped."""
        left = []
        for part in self.each_database():
            engine = engine_for(part.settings.database)
            told = engine.discard(engine.schema_name("staging", self.run_id))
            left += [in_database(part.alias, line) for line in told]
        return left

    def may_write_files(self) -> None:
        """Raise LeaseLost, Cancelled or Permanent unless this attempt holds the step and no later
        run has replaced live."""
        self.holds()
        undo_points.refuse_superseded(self.run_id)

    def certainly_changed_no_rows(self, engine: Engine) -> None:
        """Raise an error unless this attempt holds the step and the run has certainly not changed
        live's rows. A commit may succeed although its answer was lost.

        Call it outside of a transaction.
        """
        self.still_mine()  # waits for the end of the transaction that called it before
        undo_points.refuse_changed(engine, self.run_id)


def in_each_database(verb: Callable[[Work], dict[str, Any]]) -> Callable[[Work], dict[str, Any]]:
    """Make a step do its work in each database. Its result is that of the first, with the figures
    and warnings of the others, and under `databases` the whole result of each of these."""

    @wraps(verb)
    def in_each(work: Work) -> dict[str, Any]:
        done = []
        for part in work.each_database():
            with part.named():
                done.append((part, verb(part)))
        (_, first), *others = done
        result = dict(first)
        for part, found in others:
            _add(result, part.alias, found)
        if others:
            result["databases"] = {part.alias: found for part, found in others}
        return result

    return in_each


def _add(result: dict[str, Any], alias: str, found: Mapping[str, Any]) -> None:
    """Add the figures and warnings of a further database."""
    for key in ("counts", "digests_equal"):
        if key in result:
            named = {in_database(alias, name): each for name, each in found[key].items()}
            result[key] = {**result[key], **named}
    if look := found.get("second_look"):
        before = result["second_look"] or {"equal": 0, "not_compared": []}
        unlike = [in_database(alias, name) for name in look["not_compared"]]
        result["second_look"] = {
            "equal": before["equal"] + look["equal"],
            "not_compared": [*before["not_compared"], *unlike],
        }
    told = [in_database(alias, line) for line in found["warnings"]]
    result["warnings"] = [*result["warnings"], *told]


def _results_of(alias: str, results: Results) -> Results:
    if not alias:
        return results
    return {
        step: result.get("databases", {}).get(alias, result) for step, result in results.items()
    }
