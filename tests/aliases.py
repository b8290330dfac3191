"""Further aliases of this process, beside `default`."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from django.db import connections

from edms import environment
from tests.services import Project


@contextmanager
def alias_of(alias: str, project: Project, **changed: Any) -> Iterator[None]:
    """The alias leads to the project's database; `changed` are settings that are not its own."""
    with alias_with(alias, {**entry_of(project), **changed}):
        yield


def entry_of(project: Project) -> dict[str, Any]:
    """The entry of DATABASES of the project's database."""
    return environment.database(project.database_url or f"sqlite:///{project.database}")


@contextmanager
def alias_with(alias: str, entry: Mapping[str, Any]) -> Iterator[None]:
    """The alias has this entry of DATABASES."""
    configured = connections.configure_settings(
        {"default": {}, alias: {**entry, "CONN_MAX_AGE": 0}}
    )
    connections.settings[alias] = configured[alias]
    with suppress(AttributeError):
        del connections[alias]  # of another test
    try:
        yield
    finally:
        for connection in connections.all(initialized_only=True):
            if connection.alias == alias:
                connection.close()
                del connections[alias]
        del connections.settings[alias]
