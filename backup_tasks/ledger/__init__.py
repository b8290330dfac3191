"""The ledger: the only code that writes `Run` and `Step` rows.

    start ──► pending ──► running ──► succeeded
                 ▲           │ └────► failed     (resume makes it pending again)
                 └─ resume ◄─┘ └────► cancelled

A step is claimed before it is worked on. The claim is a lease that heartbeats extend, and the
number of the attempt is its fencing token: an attempt that lost its lease can't write any more. A
step that is not claimed yet has, in the same column, the time by which it should be: by that, a run
whose message was lost is found.

Rows are always locked in this order: step, then run.
"""

from backup_tasks.ledger.claims import (
    Busy,
    Claim,
    Finished,
    Refused,
    claim,
    fail,
    succeed,
    will_retry,
)
from backup_tasks.ledger.recovery import abandoned, fail_dead_commands, release_live_locks
from backup_tasks.ledger.runs import (
    cancel,
    current_step,
    fail_run,
    find,
    is_at_work,
    is_just_resumed,
    resume,
    skip,
    start,
    task_of,
    too_late_to_cancel,
)

__all__ = [
    "Busy",
    "Claim",
    "Finished",
    "Refused",
    "abandoned",
    "cancel",
    "claim",
    "current_step",
    "fail",
    "fail_dead_commands",
    "fail_run",
    "find",
    "is_at_work",
    "is_just_resumed",
    "release_live_locks",
    "resume",
    "skip",
    "start",
    "succeed",
    "task_of",
    "too_late_to_cancel",
    "will_retry",
]
