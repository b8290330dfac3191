"""kill -9 between the promotes of two databases: no transaction holds both.

The first database is promoted first. After each death the two must be old and old, new and old, or
new and new, never old and new; and the run is finished, or undone as a whole.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from edms.local.mariadb import MariaDBServer
from edms.local.postgres import PostgresServer
from tests.chaos.subject import KILLED, Subject, fill, project_in, subject_of
from tests.chaos.test_kills import BURY, other
from tests.services import EVERY_ENGINE

DEATHS = 6


@dataclass(frozen=True, kw_only=True)
class Several:
    """A project whose first database is a file of SQLite, and the further one of another engine."""

    subject: Subject
    """Its first database, the files, and the commands."""
    archive: Subject
    """Only looked at."""

    def generations(self) -> tuple[str, str]:
        """Which generation each database's rows are."""
        first = self.subject.state().rows
        further = self.archive.state().rows
        (one,) = [name for name, state in self.subject.states.items() if state.rows == first]
        (two,) = [name for name, state in self.archive.states.items() if state.rows == further]
        return one, two

    def left_behind(self) -> list[str]:
        """What runs had built and do not need any more, in either database."""
        beside = [Path(name).name for name in self.archive.schemas()]
        return [
            *self.subject.left_behind(),
            *(name for name in beside if "staging" in name or "rehears" in name),
            *(["the mark of a promote"] if self._is_marked() else []),
        ]

    def _is_marked(self) -> bool:
        if self.archive.project.engine != "sqlite":
            return False
        with closing(sqlite3.connect(self.archive.project.database)) as file:
            sql = "SELECT 1 FROM sqlite_master WHERE name = 'backup_tasks_promoted'"
            return file.execute(sql).fetchone() is not None


@pytest.fixture(params=EVERY_ENGINE)
def several(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Several]:
    """Once per engine of the further database."""
    engine, url, name = request.param, "", ""
    server: PostgresServer | MariaDBServer | None = None
    if engine != "sqlite":
        server = request.getfixturevalue(engine)
        assert server is not None
        name = server.new_name()
        url = server.create_database(name)
    archive = project_in(tmp_path / "archive", engine, url)
    alone = project_in(tmp_path / "project", "sqlite", "")
    variables = {
        **alone.variables,
        "ARCHIVE_URL": archive.database_url or f"sqlite:///{archive.database}",
    }
    with (
        subject_of(replace(alone, variables=variables)) as subject,
        subject_of(archive) as further,
    ):
        for generation in ("a", "b"):
            package = tmp_path / f"{generation}.tar.zst"
            for project in (alone, archive):
                fill(project, generation)
            subject.succeed("create_backup", "--output", package)
            subject.packages[generation] = package
            subject.states[generation] = subject.state()
            further.states[generation] = further.state()
        yield Several(subject=subject, archive=further)
    if server is not None:
        server.drop_database(name)


def moments_of_promote(several: Several) -> list[int]:
    """Some moments from the first commit on live to the end of the promote."""
    subject = several.subject
    for generation in ("a", "b"):  # afterwards each counter is as far as it gets
        subject.succeed_restore(generation)
    seen = subject.succeed_restore("a", counting_from="claimed promote").moments
    (entered,) = [n for n, what in enumerate(seen) if "INSERT INTO" in what and "undop" in what]
    last = seen.index("worked promote")
    step = max(1, (last - entered) // DEATHS)
    return [*range(entered, last, step)][:DEATHS]


def test_a_death_between_two_promotes_is_finished_or_undone(several: Several) -> None:
    subject = several.subject
    tally: Counter[tuple[str, ...]] = Counter()
    halves = 0
    for at in moments_of_promote(several):
        old = several.generations()[0]
        new = other(old)
        assert several.generations() == (old, old)
        died = subject.restore(new, counting_from="claimed promote", at=at).code == KILLED
        found = several.generations()
        assert found in [(old, old), (new, old), (new, new)]
        end = new
        if died and found == (new, old) and (halves := halves + 1) % 2:
            subject.project.succeed("shell", "--no-imports", "-c", BURY)
            subject.succeed("prune_packages")
            subject.succeed("undo_restore", "--confirm")
            end = old
        elif died:
            subject.succeed("resume_run", subject.active_runs()[0])
        states = ("new" if name == new else "old" for name in found)
        tally["died" if died else "ended", *states] += 1
        assert several.generations() == (end, end)
        assert subject.generation() == end, "files"
        subject.succeed("prune_packages")
        assert several.left_behind() == []
    print(several.archive.project.engine, dict(tally))
    assert tally["died", "new", "old"], tally
