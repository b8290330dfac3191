"""The parallel dump: several models are read at a time, each with its rows, dangling references and
sums.

All workers read the same state of the database: they join the snapshot that this process exports.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from backup_tasks.engines import Engine
from backup_tasks.rows import second_look, worker_pool
from backup_tasks.rows.codec import RowCodec
from backup_tasks.rows.dump import Dumped, dump_model
from backup_tasks.rows.integrity import dangling
from backup_tasks.rows.second_look import Sums
from backup_tasks.rows.worker_pool import Count, Perform, Rows, WorkerTask, can_use_workers, run_all


@dataclass(frozen=True, kw_only=True)
class Job:
    """A model to read."""

    codec: RowCodec
    member: Path | None = None
    """The file that gets the lines; None computes the figures only."""


@dataclass(frozen=True, kw_only=True)
class DumpedModel:
    """The figures of one model."""

    dumped: Dumped
    dangling: Mapping[str, int]
    """Number of dangling references by key, from `integrity.dangling`."""
    sums: Sums
    """The database's own sums."""


def dump_one(job: Job, progress: Rows) -> DumpedModel:
    """Read one model in this process. Raises what `dump_model` raises."""
    with job.member.open("wb") if job.member else nullcontext() as target:
        dumped = dump_model(job.codec, target, progress)
    connection, model = job.codec.connection, job.codec.model
    return DumpedModel(
        dumped=dumped,
        dangling=dangling(connection, model),
        sums=second_look.take(connection, model),
    )


def dump_all(
    engine: Engine, jobs: Sequence[Job], progress: Count, *, schema: str | None = None
) -> list[DumpedModel]:
    """Read all the models; return their figures in the order of the jobs.

    The alias leads to `schema` (None: live) and is in a transaction. Raises what `dump_model`
    raises.
    """
    exported = task = None
    codecs = [job.codec for job in jobs]
    if can_use_workers(codecs):
        exported = engine.export_snapshot(
            [codec.table for codec in codecs], least=worker_pool.BYTES_PER_WORKER
        )
    if exported:
        task = WorkerTask[Job, DumpedModel](
            worker_side="backup_tasks.rows.parallel_dump.worker_side",
            token=exported.token,
            schema=schema,
            order=lambda job: {},
            read=lambda answer: DumpedModel(
                dumped=Dumped(**answer["dumped"]),
                dangling=answer["dangling"],
                sums=Sums(**answer["sums"]),
            ),
        )
    sizes = exported.sizes if exported else (0,) * len(jobs)
    return run_all(engine, jobs, dump_one, progress, sizes=sizes, task=task)


@contextmanager
def worker_side(engine: Engine, token: str, schema: str | None) -> Iterator[Perform]:
    """What a worker of the pool does."""

    def do(codec: RowCodec, order: Mapping[str, Any], progress: Rows) -> dict[str, Any]:
        member = None if order["member"] is None else Path(order["member"])
        found = dump_one(Job(codec=codec, member=member), progress)
        return asdict(found)

    with engine.join_snapshot(token, schema):
        yield do
