"""The verbs that chains are made of, one a file. A step knows nothing of Celery, of the ledger's
tables, or of the other steps: it gets its `Work`, does it, and returns what the later ones need.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backup_tasks.progress import Progress


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
    workspace: Path
    """The run's own folder, shared by its steps. Exists."""
    progress: Progress
    """Cheap: keeps the figures in memory; the heartbeat writes them."""
    still_mine: Callable[[], None]
    """Raises LeaseLost if another worker holds the step, Cancelled if the run was cancelled.
    Inside a transaction on live it locks the step's row, so that what is committed with it was
    committed by the holder."""
