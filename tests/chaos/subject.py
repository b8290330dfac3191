"""What is killed, and what is seen of it from outside: rows, files, and what was left behind."""

import contextlib
import hashlib
import json
import signal
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.acceptance.contents import contents
from tests.chaos.clients import client_of, sessions
from tests.nursery import Nursery
from tests.services import Project

KILLED = -signal.SIGKILL


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How a command ended."""

    code: int
    seconds: float
    text: str
    moments: list[str]


@dataclass(frozen=True, kw_only=True)
class State:
    """Live: a SHA-256 over every row, column, index and constraint, and one of every file."""

    rows: str
    files: Mapping[str, str]

    def __str__(self) -> str:
        return f"rows {self.rows[:8]}, files { ({n: s[:8] for n, s in self.files.items()}) }"


@dataclass(kw_only=True)
class Subject:
    """An EDMS and its nursery."""

    project: Project
    nursery: Nursery
    client: Any
    """A connection to the database."""
    packages: dict[str, Path] = field(default_factory=dict)
    """By generation."""
    states: dict[str, State] = field(default_factory=dict)
    """What live is when it is that generation."""
    sessions_of_stopped: int = 0
    """Of the server, that a stopped child has."""

    def run(self, *command: str | Path, **order: Any) -> Ending:
        """Run a command in a child; `at`, `when`, `counting_from` and `later` order its death."""
        output, moments = self.project.folder / "output.txt", self.project.folder / "moments.json"
        for told in (output, moments):
            told.unlink(missing_ok=True)
        order |= {
            "command": [str(part) for part in command],
            "output": str(output),
            "moments": str(moments),
        }
        return self._ending(self.nursery.ask(order), output, moments)

    def stop(self, *command: str | Path, **order: Any) -> "Stopped | None":
        """Run a command in a child that stops itself right before a change of a file, by its number
        (`stops_at`), or a statement, by a part of it (`stops_when`). None if it ended before."""
        output = self.project.folder / "stopped.txt"
        output.unlink(missing_ok=True)
        order |= {
            "command": [str(part) for part in command],
            "output": str(output),
            "moments": str(self.project.folder / "stopped.json"),
        }
        answer = self.nursery.ask(order)
        if answer["code"] is not None:
            assert answer["code"] == 0, output.read_text()
            return None
        if self.project.engine != "sqlite":
            self.sessions_of_stopped = sessions(self.project, self.client)
        return Stopped(subject=self, number=answer["stopped"], output=output)

    def _ending(self, answer: Mapping[str, Any], output: Path, moments: Path) -> Ending:
        self._until_the_server_knows()
        return Ending(
            code=answer["code"],
            seconds=answer["seconds"],
            text=output.read_text(),
            moments=json.loads(moments.read_text()) if moments.exists() else [],
        )

    def _until_the_server_knows(self) -> None:
        """A server goes on for a moment with what a dead client told it last."""
        if self.project.engine == "sqlite":
            return
        deadline = time.monotonic() + 30
        while sessions(self.project, self.client) > self.sessions_of_stopped:
            assert time.monotonic() < deadline
            time.sleep(0.002)

    def restore(self, generation: str, **order: Any) -> Ending:
        """Restore the package of a generation."""
        package = self.packages[generation]
        return self.run("restore_from_package", package, "--type", "full", "--confirm", **order)

    def succeed_restore(self, generation: str, **order: Any) -> Ending:
        """Restore the package of a generation, which must end well."""
        done = self.restore(generation, **order)
        assert done.code == 0, done.text
        return done

    def generation(self) -> str:
        """Which generation live is, to the last row and file."""
        now = self.state()
        (found,) = [name for name, state in self.states.items() if state == now]
        return found

    def succeed(self, *command: str | Path, **order: Any) -> Ending:
        """Run a command that must end well."""
        done = self.run(*command, **order)
        assert done.code == 0, f"{command} → {done.code}\n{done.text}"
        return done

    def state(self) -> State:
        """Look at live, without any of the product's code."""
        now = contents(self.project)
        rows = repr((sorted(now.tables.items()), now.structure)).encode()
        return State(
            rows=hashlib.sha256(rows).hexdigest(),
            files={name: hashlib.sha256(data).hexdigest() for name, data in now.files.items()},
        )

    def ask(self, sql: str) -> list[Any]:
        """What the first column of a query has."""
        return [row[0] for row in self.client.execute(sql).fetchall()]

    def step_at_work(self) -> str:
        """The step that the ledger believes to be at work."""
        at_work = self.ask("SELECT name FROM backup_tasks_step WHERE state = 'running'")
        return at_work[0] if at_work else "between steps"

    def active_runs(self) -> list[str]:
        """The runs that the ledger believes to be at work."""
        return self.ask("SELECT id FROM backup_tasks_run WHERE state IN ('pending', 'running')")

    def promoted(self, run: str) -> bool:
        """Whether the run has changed live's rows."""
        return run in self.ask("SELECT run_id FROM backup_tasks_undopoint")

    def schemas(self) -> list[str]:
        """Every copy of the tables beside live."""
        if self.project.engine == "sqlite":
            beside = self.project.folder.glob(f"{self.project.database.name}.*")
            return sorted(str(path) for path in beside)
        if self.project.engine == "mariadb":
            return sorted(
                self.ask(
                    "SELECT schema_name FROM information_schema.schemata"
                    " WHERE left(schema_name, length(database()) + 1) = concat(database(), '_')"
                )
            )
        return sorted(
            self.ask(
                "SELECT nspname FROM pg_namespace WHERE nspname NOT IN"
                " ('public', 'information_schema') AND nspname !~ '^pg_'"
            )
        )

    def left_behind(self) -> list[str]:
        """What no run needs any more, and is there."""
        kept = set(self.ask("SELECT schema FROM backup_tasks_undopoint"))
        points = {"id", *self.ask("SELECT run_id FROM backup_tasks_undopoint")}
        reserved = self.project.media / ".backup_tasks"
        workspace, store = self.project.workspace, self.project.store
        packages = {path.name for path in store.iterdir()} if store.exists() else set()
        return [
            *(schema for schema in self.schemas() if schema not in kept),
            *(str(path) for path in sorted(workspace.glob("[!.]*"))),
            *(str(path) for path in sorted(reserved.glob("*")) if path.name not in points),
            *(str(path) for path in sorted(reserved.glob("*/staging/**/*")) if path.is_file()),
            *self.active_runs(),
            *self.ask("SELECT run_id FROM backup_tasks_step WHERE state = 'running'"),
            *self.ask("SELECT id FROM backup_tasks_run WHERE live_lock IS NOT NULL"),
            *(name for name in sorted(packages) if not _has_other_half(name, packages)),
        ]


@dataclass(frozen=True, kw_only=True)
class Stopped:
    """A child that has stopped itself."""

    subject: Subject
    number: int
    output: Path

    def go_on(self) -> Ending:
        """Let it go on until it ends."""
        subject = self.subject
        subject.sessions_of_stopped = 0
        answer = subject.nursery.ask({"goes_on": self.number})
        return subject._ending(answer, self.output, self.output.with_suffix(".json"))


def _has_other_half(name: str, packages: set[str]) -> bool:
    """A package and its sidecar, and what is known of it."""
    if name.endswith(".standing"):
        return name[: -len("standing")] + "json" in packages
    if name.endswith(".json"):
        return any(other.startswith(name[: -len("json")] + "tar") for other in packages)
    return name.split(".tar")[0] + ".json" in packages


@contextlib.contextmanager
def subject_of(project: Project) -> Iterator[Subject]:
    """Start a nursery for the project."""
    with (
        contextlib.closing(Nursery("tests.chaos.nursery", project.env)) as nursery,
        client_of(project) as client,
    ):
        yield Subject(project=project, nursery=nursery, client=client)


def project_in(folder: Path, engine: str, url: str) -> Project:
    """Make the small project's tables."""
    folder.mkdir()
    variables = {"DJANGO_SETTINGS_MODULE": "tests.chaos.settings"}
    project = Project(engine=engine, folder=folder, database_url=url, variables=variables)
    project.succeed("migrate", "--run-syncdb", "--no-input", "--verbosity", "0")
    return project


def fill(project: Project, generation: str) -> None:
    """Put a generation on the shelf."""
    code = f"from tests.chaos.shelf.content import fill; fill({generation!r})"
    project.succeed("shell", "--no-imports", "-c", code)
