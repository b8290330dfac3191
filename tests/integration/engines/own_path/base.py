"""A database backend that sets the search path by itself, before each use of a cursor."""

from typing import Any

from django.db.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):
    """Looks in `public`, whatever anybody says."""

    def _cursor(self, name: str | None = None) -> Any:
        cursor = super()._cursor(name)  # type: ignore[misc]
        with super()._cursor() as first:  # type: ignore[misc]
            first.execute("SET search_path = public")
        return cursor


class EnteringWrapper(base.DatabaseWrapper):
    """Enters its schema by a function of the database, in whatever transaction there is."""

    def _cursor(self, name: str | None = None) -> Any:
        cursor = super()._cursor(name)  # type: ignore[misc]
        with super()._cursor() as first:  # type: ignore[misc]
            first.execute("SELECT public.enter()")
        return cursor
