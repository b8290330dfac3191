"""The parallel load: a pool of workers loads what one process loads alone."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from django.db import connections, transaction

from backup_tasks.engines import engine_for
from backup_tasks.errors import HandoverChanged, LoadFailed
from backup_tasks.rows import parallel_dump, parallel_load, worker_pool
from backup_tasks.rows.parallel_load import Job, load_all
from tests.integration.engines.conftest import After
from tests.integration.engines.test_parallel_dump import jobs as all_to_read
from tests.services import MakeProject, Project

STAGING = "staging_x"

Figures = tuple[int, str, str]
"""Number of rows, and their two digests."""


def _figures(job: parallel_dump.Job) -> Figures:
    found = parallel_dump.dump_one(job, lambda rows: None).dumped
    return found.count, found.digest, found.exact


class Package:
    """A dump of live, which can be loaded into staging."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        with engine_for("default").snapshot():
            jobs = all_to_read(folder)
            self.holds = [_figures(job) for job in jobs]
        self.tables = [job.codec.table for job in jobs]
        self.sha256 = {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()
        }
        self.seen: list[int] = []
        """The numbers of rows that the progress callback got."""

    def load(self) -> int:
        engine = engine_for("default")
        engine.clone(STAGING, self.tables)
        with engine.at(STAGING), engine.loading(self.tables, attempt=1) as token:
            jobs = [
                Job(
                    codec=job.codec,
                    member=self.folder / job.codec.label,
                    sha256=self.sha256[job.codec.label],
                )
                for job in all_to_read()
            ]
            return load_all(
                engine,
                jobs,
                lambda rows, note: self.seen.append(rows),
                schema=STAGING,
                token=token,
            )

    def staged(self) -> list[Figures]:
        """Return the figures of staging."""
        with engine_for("default").at(STAGING), transaction.atomic():
            return [_figures(job) for job in all_to_read()]


@pytest.fixture
def package(demo: Project, tmp_path: Path) -> Package:
    return Package(tmp_path / "members")


def test_workers_load_the_same(
    package: Package, done_by_workers: list[str], after: After, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 3)  # two of them
    after(parallel_load, "_load_one", lambda: len(done_by_workers) > 1)
    rows = package.load()

    assert package.staged() == package.holds
    assert rows == package.seen[-1] == sum(count for count, _, _ in package.holds)
    assert len(done_by_workers) > 1


@pytest.mark.parametrize("why", ["another database", "other code", "killed"])
def test_what_workers_can_not_load_is_loaded_by_this_process(
    package: Package,
    make_project: MakeProject,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    kill_workers: Callable[[], None],
    after: After,
    why: str,
) -> None:
    if why == "another database":
        monkeypatch.setenv("DATABASE_URL", make_project("postgres").database_url)
    elif why == "other code":
        monkeypatch.setattr(worker_pool, "_columns", lambda codec: [["as", "it", "was"]])
    else:
        kill_workers()
    after(parallel_load, "_load_one", lambda: "a parallel worker failed" in caplog.text)
    package.load()

    assert package.staged() == package.holds


def test_rows_that_were_altered_in_the_workspace_are_refused_whoever_finds_it(
    package: Package, caplog: pytest.LogCaptureFixture, after: After
) -> None:
    package.sha256["users.user"] = "0" * 64
    after(parallel_load, "_load_one", lambda: "a parallel worker failed" in caplog.text)

    with pytest.raises(HandoverChanged, match=r"users\.user"):
        package.load()


def test_a_row_that_the_database_refuses_is_told_whoever_finds_it(
    package: Package, caplog: pytest.LogCaptureFixture, after: After
) -> None:
    member = package.folder / "users.user"
    member.write_bytes(member.read_bytes() * 2)
    package.sha256["users.user"] = hashlib.sha256(member.read_bytes()).hexdigest()
    after(parallel_load, "_load_one", lambda: "a parallel worker failed" in caplog.text)

    with pytest.raises(LoadFailed, match=r"users\.user.*duplicate key"):
        package.load()
    with connections["default"].cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {STAGING}.users_user")
        assert cursor.fetchone() == (0,)
