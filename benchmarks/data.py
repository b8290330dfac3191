"""The databases that are measured: an EDMS full of documents, and copies of it."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from benchmarks.measuring import BenchmarkFailed, Cost
from edms.local.instance import Instance
from edms.local.postgres import PostgresServer


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """An EDMS with generated documents."""

    instance: Instance
    documents: int
    rows: int
    """Of all tables that a package holds."""


def generated(instance: Instance, documents: int, *, empty: bool = False) -> DataSet:
    """Fill an instance whose database is empty: migrated, with its defaults and the documents."""
    instance.folder.mkdir(parents=True, exist_ok=True)
    manage(instance, "migrate", "--no-input", "--verbosity", "0")
    if not empty:
        users = max(10, min(500, documents // 20))
        arguments = ("--documents", str(documents), "--users", str(users))
        manage(instance, "generate_documents", *arguments)
    if instance.database_url:
        with psycopg.connect(instance.database_url, autocommit=True) as connection:
            connection.execute("VACUUM (ANALYZE)")
    return DataSet(instance=instance, documents=documents, rows=_rows(instance))


def manage(instance: Instance, *arguments: str) -> str:
    """Run a management command of the instance; return what it printed."""
    done = instance.run(sys.executable, "manage.py", *arguments, timeout=24 * 60 * 60)
    if done.returncode != 0:
        raise BenchmarkFailed(f"{arguments} → {done.returncode}\n{done.stderr}{done.stdout}")
    return done.stdout


def _rows(instance: Instance) -> int:
    count = (
        "from backup_tasks.conf import backup_settings; "
        "from backup_tasks.rows.scope import full_scope; "
        "print(sum(m._base_manager.count() for m in full_scope(backup_settings()).included))"
    )
    return int(manage(instance, "shell", "--no-imports", "-c", count))


@contextmanager
def copied(server: PostgresServer, data: DataSet, folder: Path) -> Iterator[Instance]:
    """Give a copy of the data to work on, in a folder of its own."""
    name = server.new_name()
    template = urlsplit(data.instance.database_url).path[1:]
    url = server.create_database(name, template=template)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield replace(data.instance, folder=folder, database_url=url)
    finally:
        server.drop_database(name)


@contextmanager
def empty_database(server: PostgresServer) -> Iterator[str]:
    """Give the URL of a database with nothing in it."""
    name = server.new_name()
    try:
        yield server.create_database(name)
    finally:
        server.drop_database(name)


def with_steps(cost: Cost, instance: Instance) -> Cost:
    """Add what the ledger says of the latest run: how long each of its steps took."""
    query = (
        "SELECT name, started_at, finished_at FROM backup_tasks_step WHERE run_id ="
        " (SELECT id FROM backup_tasks_run ORDER BY created_at DESC LIMIT 1) ORDER BY position"
    )
    if instance.database_url:
        with psycopg.connect(instance.database_url) as server:
            found = server.execute(query).fetchall()
    else:
        with closing(sqlite3.connect(instance.database)) as file:
            found = [
                (name, datetime.fromisoformat(began), datetime.fromisoformat(ended))
                for name, began, ended in file.execute(query)
            ]
    steps = {name: (ended - began).total_seconds() for name, began, ended in found}
    return replace(cost, steps=steps)


SECOND_LOOK = "second look (in dump)"

_TAKE_SUMS = """
import time
from django.db import connection, transaction
from backup_tasks.conf import backup_settings
from backup_tasks.rows import second_look
from backup_tasks.rows.scope import full_scope
models = full_scope(backup_settings()).included
with transaction.atomic():
    began = time.monotonic()
    for model in models:
        second_look.take(connection, model)
    print(time.monotonic() - began)
"""


def with_second_look(cost: Cost, instance: Instance) -> Cost:
    """Add how long the second look takes that the dump has taken, too."""
    seconds = float(manage(instance, "shell", "--no-imports", "-c", _TAKE_SUMS))
    return replace(cost, steps={**cost.steps, SECOND_LOOK: seconds})
