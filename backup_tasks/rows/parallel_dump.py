"""Reads models: their rows, and what in them leads nowhere. Several at a time where it pays.

Helpers see the very state of the database which this process sees (PostgreSQL exports a snapshot).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from backup_tasks.engines import Engine
from backup_tasks.rows import worker_pool
from backup_tasks.rows.codec import Shape
from backup_tasks.rows.dump import Dumped, dump_model
from backup_tasks.rows.integrity import dangling
from backup_tasks.rows.worker_pool import Asked, Count, Rows, Terms, do_all, may_be_shared


@dataclass(frozen=True, kw_only=True)
class Job:
    """A model to read."""

    shape: Shape
    member: Path | None = None
    """Where the lines are written to; None: only the figures are wanted."""


@dataclass(frozen=True, kw_only=True)
class Read:
    """What was found."""

    dumped: Dumped
    dangling: Mapping[str, int]
    """Of `integrity.dangling`."""


def read(job: Job, progress: Rows) -> Read:
    """Read one model, here. Raises what `dump_model` raises."""
    with job.member.open("wb") if job.member else nullcontext() as target:
        dumped = dump_model(job.shape, target, progress)
    return Read(dumped=dumped, dangling=dangling(job.shape.connection, job.shape.model))


def read_all(
    engine: Engine, jobs: Sequence[Job], progress: Count, *, place: str | None = None
) -> list[Read]:
    """Read all the models; return what was found, in the order of the jobs.

    The alias leads to `place` (None: live), in a transaction. Raises what `dump_model` raises.
    """
    shared = terms = None
    shapes = [job.shape for job in jobs]
    if may_be_shared(shapes):
        shared = engine.shared([shape.table for shape in shapes], least=worker_pool.WORTH_A_HELPER)
    if shared:
        terms = Terms[Job, Read](
            helping="backup_tasks.rows.parallel_dump.helping",
            token=shared.token,
            place=place,
            order=lambda job: {},
            read=lambda answer: Read(
                dumped=Dumped(**answer["dumped"]), dangling=answer["dangling"]
            ),
        )
    sizes = shared.sizes if shared else (0,) * len(jobs)
    return do_all(engine, jobs, read, progress, sizes=sizes, terms=terms)


@contextmanager
def helping(engine: Engine, token: str, place: str | None) -> Iterator[Asked]:
    """The helper's side."""

    def do(shape: Shape, order: Mapping[str, Any], progress: Rows) -> dict[str, Any]:
        member = None if order["member"] is None else Path(order["member"])
        found = read(Job(shape=shape, member=member), progress)
        return {"dumped": asdict(found.dumped), "dangling": found.dangling}

    with engine.joined(token, place):
        yield do
