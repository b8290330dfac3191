"""The parallel load: several members of a package are loaded at a time, each into its table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from django.db import DataError, IntegrityError, ProgrammingError

from backup_tasks.engines import Engine
from backup_tasks.errors import HandoverChanged, LoadFailed
from backup_tasks.rows.codec import BATCH_BYTES, RowCodec
from backup_tasks.rows.worker_pool import Count, Perform, Rows, WorkerTask, can_use_workers, run_all


@dataclass(frozen=True, kw_only=True)
class Job:
    """A model to load."""

    codec: RowCodec
    member: Path
    sha256: str


def load_all(
    engine: Engine,
    jobs: Sequence[Job],
    progress: Count,
    *,
    schema: str,
    token: str | None,
) -> int:
    """Load all the models into `schema`, to which the alias leads; return the number of rows.

    Called inside the engine's `loading`, which gave the token; without a token there are no
    workers. Raises HandoverChanged, LoadFailed.
    """
    task = None
    if token and can_use_workers([job.codec for job in jobs]):
        task = WorkerTask[Job, int](
            worker_side="backup_tasks.rows.parallel_load.worker_side",
            token=token,
            schema=schema,
            order=lambda job: {"sha256": job.sha256},
            read=lambda answer: int(answer["loaded"]),
        )

    def load(job: Job, rows: Rows) -> int:
        return _load_one(engine, job, rows)

    sizes = [job.member.stat().st_size if job.member.exists() else 0 for job in jobs]
    return sum(run_all(engine, jobs, load, progress, sizes=sizes, task=task))


@contextmanager
def worker_side(engine: Engine, token: str, schema: str) -> Iterator[Perform]:
    """What a worker of the pool does."""

    def do(codec: RowCodec, order: Mapping[str, Any], progress: Rows) -> dict[str, Any]:
        job = Job(codec=codec, member=Path(order["member"]), sha256=order["sha256"])
        return {"loaded": _load_one(engine, job, progress)}

    with engine.join_load(token, schema):
        yield do


def _load_one(engine: Engine, job: Job, progress: Rows) -> int:
    codec = job.codec
    try:
        rows = (codec.decode(line) for line in _verified_lines(job, progress))
        return engine.write(codec.table, codec.columns, rows)
    except FileNotFoundError as error:
        raise HandoverChanged(
            "the rows are gone from the workspace", obj=codec.label, hint="Start the run again."
        ) from error
    except (DataError, IntegrityError, ProgrammingError) as error:
        raise LoadFailed(
            f"the database refuses a row: {error}",
            obj=codec.label,
            hint="The package holds a value that this database can't. Live was not touched.",
        ) from error


def _verified_lines(job: Job, progress: Rows) -> Iterator[bytes]:
    """Yield the lines of the member. Raises HandoverChanged, after the last one, if the member is
    not what was unpacked."""
    hashed = sha256()
    with job.member.open("rb") as member:
        while lines := member.readlines(BATCH_BYTES):
            hashed.update(b"".join(lines))
            yield from lines
            progress(len(lines))
    if hashed.hexdigest() != job.sha256:
        raise HandoverChanged(
            "the rows in the workspace are not those of the package",
            obj=job.codec.label,
            hint="Something wrote to the workspace. Start the run again.",
        )
