"""Which tool runs on which data, how often and in which order."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import subjects
from benchmarks.data import DataSet, copied, empty_database, generated, manage
from benchmarks.measuring import BenchmarkFailed, Cost, Server
from benchmarks.subjects import Dbbackup, Keys
from edms.local.instance import Instance
from edms.local.postgres import PostgresServer, find_programs


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much is measured."""

    documents: int
    few: int
    """Documents of the small data set, for memory."""
    sample: int
    """Documents of the data set that Django's own commands get."""
    repeats: int


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What each tool cost, repeat by repeat, on one kind of database."""

    database: str
    rows: int
    sample_rows: int
    few_rows: int = 0
    costs: Mapping[str, list[Cost]]
    sizes: Mapping[str, int]
    """Bytes of what a tool wrote."""
    data: list[str]
    notes: list[str] = field(default_factory=list)


class _Notebook:
    """Collects costs, and says on stderr how far things are."""

    def __init__(self) -> None:
        self.costs: dict[str, list[Cost]] = defaultdict(list)
        self.sizes: dict[str, int] = {}

    def add(self, what: str, cost: Cost, written: Path | None = None) -> None:
        self.costs[what].append(cost)
        if written is not None:
            self.sizes[what] = written.stat().st_size
        print(f"{what}: {cost.wall:.1f} s", file=sys.stderr, flush=True)


def measure_postgres(
    sizes: Sizes, server: PostgresServer, watched: Server, folder: Path, *, dbbackup: bool
) -> Measured:
    """Measure everything on PostgreSQL."""
    book, notes = _Notebook(), []
    keys = Keys.made(folder)
    rival = None
    if dbbackup:
        try:
            rival = Dbbackup.installed(folder / "rival")
        except BenchmarkFailed as error:
            notes.append(f"django-dbbackup was not measured: {error}.")
    many = _generated(server, folder, "many", sizes.documents)
    few = _generated(server, folder, "few", sizes.few)
    sample = _generated(server, folder, "sample", sizes.sample)
    try:
        for number in range(sizes.repeats):
            schema = folder / f"repeat-{number}"
            _ours(book, server, watched, many, keys, schema / "ours", "")
            _theirs(book, server, watched, many, schema / "theirs", rival)
        _ours(book, server, watched, few, keys, folder / "few-ours", " few")
        _django(book, server, watched, sample, folder / "django")
    finally:
        if rival is not None:
            rival.stop()
        for data in (many, few, sample):
            server.drop_database(data.instance.database_name)
    return Measured(
        database="PostgreSQL",
        rows=many.rows,
        few_rows=few.rows,
        sample_rows=sample.rows,
        costs=book.costs,
        sizes=book.sizes,
        data=[
            f"PostgreSQL: {many.documents:,} documents, {many.rows:,} rows in all.",
            f"PostgreSQL, for the comparison of memory: {few.rows:,} rows.",
            f"PostgreSQL, the sample for Django's own commands: {sample.rows:,} rows.",
        ],
        notes=notes,
    )


def _generated(server: PostgresServer, folder: Path, name: str, documents: int) -> DataSet:
    print(f"Generating {documents} documents …", file=sys.stderr, flush=True)
    url = server.create_database(server.new_name())
    return generated(Instance(folder=folder / name, database_url=url), documents)


def _ours(
    book: _Notebook,
    server: PostgresServer,
    watched: Server,
    data: DataSet,
    keys: Keys,
    folder: Path,
    suffix: str,
) -> None:
    with copied(server, data, folder) as instance:
        cost, package = subjects.create_backup(instance, keys, watched)
        book.add(f"create_backup{suffix}", cost, package)
        book.add(f"restore{suffix}", subjects.restore(instance, package, keys, watched))


def _theirs(
    book: _Notebook,
    server: PostgresServer,
    watched: Server,
    data: DataSet,
    folder: Path,
    rival: Dbbackup | None,
) -> None:
    programs = find_programs()
    with copied(server, data, folder) as instance:
        dump = folder / "dump"
        book.add("pg_dump -Fc", subjects.pg_dump(programs, instance, dump, watched), dump)
        if rival is not None:
            book.add("dbbackup", *rival.backup(instance, programs, watched))
    with empty_database(server) as url:
        book.add("pg_restore", subjects.pg_restore(programs, dump, url, instance.env, watched))


def _django(
    book: _Notebook, server: PostgresServer, watched: Server, data: DataSet, folder: Path
) -> None:
    folder.mkdir(parents=True)
    fixture = folder / "fixture.jsonl"
    book.add("dumpdata", subjects.dumpdata(data.instance, fixture, watched), fixture)
    with empty_database(server) as url:
        empty = Instance(folder=folder, database_url=url)
        manage(empty, "migrate", "--no-input", "--verbosity", "0")
        book.add("loaddata", subjects.loaddata(empty, fixture, watched))


def measure_sqlite(sizes: Sizes, folder: Path) -> Measured:
    """Measure what is promised for SQLite: a backup and a restore, beside Django's own commands."""
    book, nobody = _Notebook(), Server(postmaster=None)
    folder.mkdir()
    keys = Keys.made(folder)
    documents = max(sizes.sample, sizes.documents // 5)
    print(f"Generating {documents} documents on SQLite …", file=sys.stderr, flush=True)
    many = generated(Instance(folder=folder / "many"), documents)
    for _ in range(sizes.repeats):
        cost, package = subjects.create_backup(many.instance, keys, nobody)
        book.add("create_backup", cost, package)
        book.add("restore", subjects.restore(many.instance, package, keys, nobody))
        package.unlink()
    sample = generated(Instance(folder=folder / "sample"), sizes.sample)
    fixture = folder / "fixture.jsonl"
    book.add("dumpdata", subjects.dumpdata(sample.instance, fixture, nobody), fixture)
    empty = Instance(folder=folder / "empty")
    empty.folder.mkdir()
    manage(empty, "migrate", "--no-input", "--verbosity", "0")
    book.add("loaddata", subjects.loaddata(empty, fixture, nobody))
    return Measured(
        database="SQLite",
        rows=many.rows,
        sample_rows=sample.rows,
        costs=book.costs,
        sizes=book.sizes,
        data=[f"SQLite: {many.rows:,} rows; the sample: {sample.rows:,} rows."],
    )
