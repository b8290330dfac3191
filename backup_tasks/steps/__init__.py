"""The steps of the chains, one verb and one file each. A step does not import Celery, the ledger's
tables or other steps. It gets a `Work`, and returns what later steps need.
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
    recorded: bool = True
    """Whether the run is in the ledger. A verification also runs without one."""

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
