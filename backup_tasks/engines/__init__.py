"""One adapter per database: snapshot, staging, bulk load, promote.

`engine_for(alias)` chooses it. `engines.base.Engine` is the contract.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from django.db import connections

from backup_tasks.engines.base import Engine
from backup_tasks.errors import Misconfigured

__all__ = ["Engine", "engine_class", "engine_for", "require_database"]

_ENGINES = {
    "sqlite": "sqlite.engine.SQLite",
    "postgresql": "postgresql.engine.PostgreSQL",
    "mysql": "mariadb.engine.MariaDB",
}


def engine_for(alias: str) -> Engine:
    """Return the adapter of the database behind `alias`. Raises Misconfigured if there is none."""
    return _class_of(alias)(alias)


def require_database(alias: str) -> None:
    """Raise Misconfigured if the file of `alias` is missing: a connection would create an empty
    database. The path is wrong, or a disk is not mounted."""
    if missing := engine_for(alias).missing_file():
        raise Misconfigured(
            f"this file holds no database, and {alias} should be in it; nothing was created",
            obj=str(missing),
            hint="If the path is wrong, correct it in DATABASES (for the EDMS, in DATABASE_URL). "
            "If the database is lost, `manage.py migrate` makes an empty one to restore into.",
        )


def engine_class(alias: str) -> type[Engine]:
    """Return the class of the alias's adapter, without a query.

    Raises Misconfigured if there is none.
    """
    engine = _class_of(alias)
    engine.refuse_backend(connections[alias])
    return engine


def _class_of(alias: str) -> type[Engine]:
    vendor = connections[alias].vendor
    if vendor not in _ENGINES:
        raise Misconfigured(
            f"{connections[alias].display_name} is not supported",
            obj=f"database {alias}",
            hint="Supported are: SQLite, PostgreSQL, MariaDB.",
        )
    if vendor == "postgresql" and find_spec("psycopg") is None:
        raise Misconfigured(
            "the PostgreSQL driver of this project is psycopg2, and backup_tasks needs psycopg 3",
            obj=f"database {alias}",
            hint="pip install 'psycopg[binary]'. Django then uses it for the whole project: read "
            "its notes on psycopg 3 first.",
        )
    module, name = _ENGINES[vendor].rsplit(".", 1)
    engine: type[Engine] = getattr(import_module(f"backup_tasks.engines.{module}"), name)
    return engine
