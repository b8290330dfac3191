"""Real services and whole EDMS instances for tests; `tests/conftest.py` makes fixtures of them."""

import contextlib
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, NoReturn, Protocol, TypeVar

import pytest
from django.db import connections

from edms import environment
from edms.local.errors import ServiceUnavailable
from edms.local.instance import Instance
from tests import nursery

ENGINES = ("sqlite", "postgres")
"""What the whole suite runs on."""
EVERY_ENGINE = (*ENGINES, "mariadb")
"""What the engines' own suite and the acceptance cycle run on."""

MakeProject = Callable[..., "Project"]


class Server(Protocol):
    """A database server, and databases on it."""

    def database_url(self, name: str) -> str: ...
    def new_name(self) -> str: ...
    def create_database(self, name: str, *, template: str = ...) -> str: ...
    def drop_database(self, name: str) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Project(Instance):
    """An EDMS of a test's own: migrated, with the system's defaults, in a folder of its own."""

    engine: str

    def manage(
        self, *arguments: str | Path, stdin: str | None = None, timeout: float = 300
    ) -> CompletedProcess[str]:
        return nursery.manage(*arguments, env=self.env, stdin=stdin, timeout=timeout)

    def succeed(self, *arguments: str | Path) -> CompletedProcess[str]:
        """Run a management command that must end with exit code 0."""
        done = self.manage(*arguments)
        assert done.returncode == 0, f"{arguments} → {done.returncode}\n{done.stderr}{done.stdout}"
        return done

    def json(self, *arguments: str | Path) -> dict[str, Any]:
        """Run a management command with --json, whatever its exit code, and return its answer."""
        done = self.manage(*arguments, "--json")
        try:
            answer: dict[str, Any] = json.loads(done.stdout)
        except json.JSONDecodeError:
            pytest.fail(f"{arguments} → {done.returncode}, not JSON:\n{done.stderr}{done.stdout}")
        return answer

    def evaluate(self, expression: str) -> Any:
        """What a Python expression gives in the project, as JSON: every model is in `M` by its
        label, as in `M["documents.document"].objects.count()`."""
        code = (
            "import json; from django.apps import apps; "
            "M = {m._meta.label_lower: m for m in apps.get_models()}; "
            f"print(json.dumps({expression}, default=str))"
        )
        return json.loads(self.succeed("shell", "--no-imports", "-c", code).stdout)


def unavailable(error: ServiceUnavailable) -> NoReturn:
    """Skip the test where a developer's machine lacks a service; on CI that is a failure."""
    if os.environ.get("CI"):
        pytest.fail(str(error))
    pytest.skip(str(error))


@dataclass(frozen=True, kw_only=True)
class Templates:
    """A migrated and a demonstration EDMS per engine, made once and then copied."""

    folder: Path
    servers: Mapping[str, Callable[[], Server]]
    """By engine; each is started by the first that needs it."""

    def copy(self, engine: str, folder: Path, *, demo: bool, **instance: Any) -> Project:
        """Make a project in `folder` from the template."""
        template = self._template(engine, demo=demo)
        if template.media.exists():
            shutil.copytree(template.media, folder / "media")
        url = ""
        if engine == "sqlite":
            shutil.copyfile(template.database, folder / template.database.name)
        else:
            server = self.servers[engine]()
            url = server.create_database(server.new_name(), template=template.database_name)
        return Project(engine=engine, folder=folder, database_url=url, **instance)

    def discard(self, project: Project) -> None:
        """Drop the project's database; its folder is the test's."""
        if project.engine in self.servers:
            self.servers[project.engine]().drop_database(project.database_name)

    def _template(self, engine: str, *, demo: bool) -> Project:
        folder = self.folder / f"{engine}-{'demo' if demo else 'migrated'}"
        name = f"template_{uuid.uuid5(uuid.NAMESPACE_URL, str(folder)).hex[:12]}"
        url = self.servers[engine]().database_url(name) if engine in self.servers else ""
        template = Project(engine=engine, folder=folder, database_url=url)
        made = folder / "made"
        if made.exists():
            return template
        if folder.exists():
            pytest.fail(f"{folder.name} could not be made: see the first test that needed it")
        folder.mkdir()
        if demo:
            # The demonstration is the migrated one with more in it.
            base = self._template(engine, demo=False)
            if engine == "sqlite":
                shutil.copyfile(base.database, template.database)
            else:
                self.servers[engine]().create_database(name, template=base.database_name)
            template.succeed("seed_demo")
        else:
            if engine in self.servers:
                self.servers[engine]().create_database(name)
            template.succeed("migrate", "--no-input", "--verbosity", "0")
        made.touch()
        return template


@contextlib.contextmanager
def as_default_database(project: Project) -> Iterator[None]:
    """Let this process work on the project's database, committing for real."""
    alias = "default"
    entry = environment.database(project.database_url or f"sqlite:///{project.database}")
    # A test's connection is closed with the test, whatever the project's setting.
    configured = connections.configure_settings({alias: {**entry, "CONN_MAX_AGE": 0}})
    before, connection = connections.settings[alias], connections[alias]
    connections.settings[alias] = configured[alias]
    connections[alias] = connections.create_connection(alias)
    try:
        yield
    finally:
        connections[alias].close()
        connections.settings[alias] = before
        connections[alias] = connection


T = TypeVar("T")


def given(service: AbstractContextManager[T]) -> Iterator[T]:
    """The body of a fixture for a service that may not be available."""
    with contextlib.ExitStack() as stack:
        try:
            value = stack.enter_context(service)
        except ServiceUnavailable as error:
            unavailable(error)
        yield value
