"""The verbs that chains are made of, one a file. A step knows nothing of Celery, of the ledger's
tables, or of the other steps: it gets its `Work`, does it, and returns what the later ones need.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backup_tasks.engines import Engine
from backup_tasks.progress import Progress
from backup_tasks.restore import undo_points


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a step is given."""

    run_id: str
    attempt: int
    """Number of the step's attempt, the fencing token: a later one has a greater one."""
    kind: str
    """The run's kind, a `Run.Kind`."""
    params: Mapping[str, Any]
    """What was asked for; documented at `chains.start`."""
    results: Mapping[str, Mapping[str, Any]]
    """Results of the run's finished steps, by step name."""
    hosts: Mapping[str, str]
    """Where each of these steps was done, by step name."""
    workspace: Path
    """The run's own folder, shared by its steps. Exists."""
    progress: Progress
    """Cheap: keeps the figures in memory; the heartbeat writes them. Raises LeaseLost or Cancelled
    once the heartbeat has noticed that the step should stop, so a loop that calls it stops soon."""
    still_mine: Callable[[], None]
    """Raises LeaseLost if another worker holds the step, Cancelled if the run was cancelled.
    Inside a transaction on live it locks the step's row, so that what is committed with it was
    committed by the holder."""
    holds: Callable[[], None]
    """Raises what `still_mine` raises. A question only: it prolongs and locks nothing."""
    reads: Callable[[str, str], None]
    """Call it with name and SHA-256 ("" where there is none) of the package that the run reads, as
    soon as they are known: the ledger has them then even if the step fails."""
    recorded: bool = True
    """Whether the run is in the ledger. A verification needs none."""

    def may_write_files(self) -> None:
        """Raise an error unless this attempt holds the step, and no later run has replaced live
        since this one did: LeaseLost, Cancelled, Permanent."""
        self.holds()
        undo_points.refuse_superseded(self.run_id)

    def certainly_changed_no_rows(self, engine: Engine) -> None:
        """Raise an error unless this attempt holds the step, and the run has certainly not changed
        live's rows: a commit that did not answer may have happened all the same.

        Outside of a transaction.
        """
        self.still_mine()  # waits for the end of the transaction that called it before
        undo_points.refuse_changed(engine, self.run_id)
