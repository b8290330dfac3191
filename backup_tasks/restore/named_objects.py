"""Reduces an unpacked package to single objects and what they need.

`--object app.Model=KEY` names an object by its natural key. Taken with it are

- its own rows of the tables of its many-to-many fields, and with multi-table inheritance those of
  its parents and children;
- the rows that any of these refer to, by foreign keys, generic keys or key columns, and so on.

A merge leaves rows that are only referred to as live has them, and inserts those that it lacks,
without their many-to-many rows: a user who comes back that way is in no group.

The members and the manifest are written anew, so everything behind this step loads, proves and
merges a package that happens to be small.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import orjson
from django.apps import apps
from django.db import models

from backup_tasks.errors import DoesNotFit, Misconfigured
from backup_tasks.package.entries import ModelEntry
from backup_tasks.package.manifest import Manifest
from backup_tasks.package.names import MANIFEST
from backup_tasks.package.streams import HashingWriter, written_whole
from backup_tasks.printable import shown
from backup_tasks.progress import stop_check
from backup_tasks.restore.contents import STAYS
from backup_tasks.restore.packaged_lines import (
    parsed_line,
    pk_of,
    split_line,
    stored_values,
    text_of,
)
from backup_tasks.restore.packaged_rows import PackagedRows
from backup_tasks.rows.digest import Digests
from backup_tasks.rows.key_columns import generic_keys, key_columns
from backup_tasks.rows.natural_keys import Model
from backup_tasks.rows.scope import label, target_of

_PK = "pk"
"""How the index calls the primary key of a line, which no field can be called."""


def reduce_to_objects(folder: Path, manifest: Manifest, params: Mapping[str, Any]) -> Manifest:
    """Reduce what `unpack_into` has written to the folder to the objects that the parameters name,
    and return the new manifest. Without any, it is as it was.

    Raises Misconfigured for a name that is none, DoesNotFit if the package does not hold it.
    """
    if not params.get("objects"):
        return manifest
    if manifest.databases:
        raise Misconfigured(
            "a package of several databases is restored as a whole",
            obj=f"package {manifest.id}",
            hint="Leave --object out.",
        )
    if params.get("include"):
        raise Misconfigured(
            "--include names whole models, and --object takes single rows of them",
            hint="Say one of the two.",
        )
    with closing(sqlite3.connect("", isolation_level=None)) as database:
        # An unnamed database is a temporary file of SQLite's, gone when it is closed.
        database.execute("BEGIN")
        closure = _Closure(folder, manifest, database)
        for text in params["objects"]:
            closure.add_object(text)
        closure.complete()
        reduced = replace(
            manifest,
            type="partial",
            models=closure.written(),
            counters={},
            sums={},
            sequences=(),
        )
        stays = closure.only_referred_to()
    with written_whole(folder / STAYS) as file:
        file.write(orjson.dumps(stays))
    with written_whole(folder / MANIFEST) as file:
        file.write(reduced.to_json())
    return reduced


def object_of(text: str) -> tuple[str, str]:
    """Return the label of the model, lower case, and the key that `app.Model=KEY` names. Raises
    Misconfigured."""
    name, equals, key = text.partition("=")
    if not (equals and key and name.count(".") == 1):
        raise Misconfigured(
            f"--object {shown(text)} names no object",
            hint="Say app.Model=KEY: KEY is the natural key, as show_package --model prints it.",
        )
    return name.lower(), key


class _Closure:
    """The lines that are taken."""

    def __init__(self, folder: Path, manifest: Manifest, database: sqlite3.Connection) -> None:
        self._folder, self._manifest, self._database = folder, manifest, database
        self._entries = {entry.label: entry for entry in manifest.models}
        self._models = {label(model): model for model in apps.get_models(include_auto_created=True)}
        self._children = _children_of(self._models)
        self._indexed: set[tuple[str, str]] = set()
        self._stop_if_told = stop_check()
        database.execute("CREATE TABLE line (label, field, value, offset)")
        database.execute("CREATE INDEX lines ON line (label, field, value)")
        database.execute(
            "CREATE TABLE taken"
            " (label, offset, pk, own, done DEFAULT 0, PRIMARY KEY (label, offset))"
        )
        database.execute("CREATE INDEX undone ON taken (done)")

    def add_object(self, text: str) -> None:
        """Take the object of that name. Raises Misconfigured, DoesNotFit."""
        name, key = object_of(text)
        if (entry := self._entries.get(name)) is None:
            raise DoesNotFit(
                "the package holds no such model",
                obj=shown(name),
                hint="show_package lists the models of a package.",
            )
        rows = PackagedRows(self._manifest, entry)
        offsets = [
            (offset, data) for offset, data in self._lines(entry) if rows.key_of(data) == key
        ]
        if len(offsets) != 1:
            raise DoesNotFit(
                f"the package holds {len(offsets) or 'no'} objects of {name} with this key",
                obj=shown(key),
                hint="show_package --model shows the keys of its rows.",
            )
        self._take(name, *offsets[0], own=True)

    def complete(self) -> None:
        """Take what the taken lines need, until nothing is missing."""
        query = "SELECT label, offset, own FROM taken WHERE NOT done LIMIT 1"
        while row := self._database.execute(query).fetchone():
            name, offset, own = row
            self._database.execute(
                "UPDATE taken SET done = 1 WHERE label = ? AND offset = ?", (name, offset)
            )
            self._follow(name, self._line_at(self._entries[name], offset), own=bool(own))
            self._stop_if_told()

    def _follow(self, name: str, data: Mapping[str, Any], *, own: bool) -> None:
        model, values = self._models.get(name), stored_values(data)
        parents = set(model._meta.get_parent_list()) if model else set()
        for target, field, value in self._references(name, values):
            is_half = self._models.get(target) in parents
            self._take_all(target, field, value, own=own and is_half)
        if model is None:
            return
        pk = text_of(pk_of(data))
        for child, link in self._children.get(model, ()):
            self._take_all(label(child), link, pk, own=own)
        if own:
            for many in model._meta.local_many_to_many:
                through = label(cast(Model, many.remote_field.through))
                self._take_all(through, many.m2m_field_name(), pk, own=True)

    def _references(self, name: str, values: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
        """Yield the label, the field and the value of each reference of a line."""
        model = self._models.get(name)
        for described in self._entries[name].fields:
            value = values.get(described.name)
            if described.relation is not None and value is not None:
                yield described.relation, _target_field(model, described.name), text_of(value)
        for column in key_columns(model).values() if model else ():
            value = values.get(column.field.name)
            kind = values.get(column.content_type.name) if column.content_type else None
            if value is not None and column.target is not None:
                yield label(column.target), _PK, text_of(value)
            elif value is not None and kind is not None:
                yield self._content_type(text_of(kind)), _PK, text_of(value)

    def _take_all(self, name: str, field: str, value: str, *, own: bool) -> None:
        if (entry := self._entries.get(name)) is None or entry.member is None:
            return
        self._index(entry, field)
        query = "SELECT offset FROM line WHERE label = ? AND field = ? AND value = ?"
        for (offset,) in self._database.execute(query, (name, field, value)).fetchall():
            self._take(name, offset, self._line_at(entry, offset), own=own)

    def _take(self, name: str, offset: int, data: Mapping[str, Any], *, own: bool) -> None:
        """Take a line; one that was only referred to can become one of the object's own."""
        self._database.execute(
            "INSERT INTO taken (label, offset, pk, own) VALUES (?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET own = 1, done = 0 WHERE excluded.own AND NOT own",
            (name, offset, text_of(pk_of(data)), own),
        )

    def _index(self, entry: ModelEntry, field: str) -> None:
        """Make the lines of a model be found by a field: one pass over its member."""
        if (entry.label, field) in self._indexed:
            return
        self._indexed.add((entry.label, field))
        self._database.executemany(
            "INSERT INTO line VALUES (?, ?, ?, ?)",
            (
                (entry.label, field, text_of(value), offset)
                for offset, data in self._lines(entry)
                if (value := pk_of(data) if field == _PK else stored_values(data).get(field))
                is not None
            ),
        )

    def _lines(self, entry: ModelEntry) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield where each line of a model begins, and the line."""
        if entry.member is None:
            return
        offset = 0
        with (self._folder / entry.member).open("rb") as file:
            for number, line in enumerate(file, 1):
                self._stop_if_told()
                yield offset, parsed_line(line, entry.label, number)
                offset += len(line)

    def _line_at(self, entry: ModelEntry, offset: int) -> dict[str, Any]:
        with (self._folder / cast(str, entry.member)).open("rb") as file:
            file.seek(offset)
            return cast("dict[str, Any]", orjson.loads(file.readline()))

    def only_referred_to(self) -> dict[str, list[str]]:
        """Return the primary keys, as text, of the lines that are not the objects' own, by
        label."""
        found: dict[str, list[str]] = defaultdict(list)
        for name, pk in self._database.execute("SELECT label, pk FROM taken WHERE NOT own"):
            found[name].append(pk)
        return found

    def written(self) -> tuple[ModelEntry, ...]:
        """Write the members anew, with the lines that are taken, and return their entries."""
        entries = tuple(map(self._written, self._manifest.models))
        for (
            entry
        ) in self._entries.values():  # only now: what was taken is read again for the others
            if entry.member is not None:
                path = self._folder / entry.member
                _new(path).replace(path)
        return entries

    def _written(self, entry: ModelEntry) -> ModelEntry:
        if entry.member is None:
            return entry
        query = "SELECT offset FROM taken WHERE label = ? ORDER BY offset"
        offsets = self._database.execute(query, (entry.label,))
        digests, count, dangling = Digests(), 0, defaultdict[str, int](int)
        path = self._folder / entry.member
        with path.open("rb") as source, _new(path).open("xb") as target:
            writer = HashingWriter(target)
            for (offset,) in offsets:
                source.seek(offset)
                line = source.readline()
                writer.write(line)
                prefix, suffix = split_line(line.removesuffix(b"\n"))
                digests.add([prefix], [suffix])
                count += 1
                for field in self._dangling(entry, orjson.loads(line)):
                    dangling[field] += 1
        written = writer.written()
        return replace(
            entry,
            count=count,
            digest=digests.digest,
            exact=digests.exact,
            member=entry.member if count else None,
            size=written.size,
            sha256=written.sha256 if count else "",
            dangling=dict(dangling),
        )

    def _dangling(self, entry: ModelEntry, data: Mapping[str, Any]) -> Iterator[str]:
        """Yield the references of a line that lead to no line of the package, or to none that is
        taken: see `rows.integrity`."""
        values = stored_values(data)
        model = self._models.get(entry.label)
        for name in entry.dangling:
            value = values.get(name)
            target = next((each.relation for each in entry.fields if each.name == name), None)
            if value is not None and target is not None:
                field = _target_field(model, name)
                if not self._is_there(target, field, text_of(value)):
                    yield name
        for key in generic_keys(model) if model else ():
            kind, value = values.get(key.ct_field), values.get(key.fk_field)
            if kind is None or value is None:
                continue
            named = self._content_type(text_of(kind))
            taken = "SELECT 1 FROM taken WHERE label = ? AND pk = ?"
            found = self._database.execute(taken, (named, text_of(value))).fetchone()
            if found is None:
                yield key.name

    def _is_there(self, name: str, field: str, value: str) -> bool:
        if (entry := self._entries.get(name)) is None:
            return True
        self._index(entry, field)
        query = "SELECT 1 FROM line WHERE label = ? AND field = ? AND value = ?"
        return self._database.execute(query, (name, field, value)).fetchone() is not None

    def _content_type(self, pk: str) -> str:
        """Return the label of the model that a content type of the package stands for."""
        entry = self._entries.get("contenttypes.contenttype")
        if entry is None or entry.member is None:
            return ""
        self._index(entry, _PK)
        query = "SELECT offset FROM line WHERE label = ? AND field = ? AND value = ?"
        offset = self._database.execute(query, (entry.label, _PK, pk)).fetchone()
        if offset is None:
            return ""
        fields = self._line_at(entry, offset[0])["fields"]
        return f"{fields['app_label']}.{fields['model']}"


def _new(member: Path) -> Path:
    """Return where the new content of a member is until all are written."""
    return member.with_name(f"{member.name}.taken")


def _children_of(known: Mapping[str, Model]) -> dict[Model, list[tuple[Model, str]]]:
    """Return, by model, the models that extend it, and the fields by which they do."""
    found: dict[Model, list[tuple[Model, str]]] = defaultdict(list)
    for model in known.values():
        for parent, link in model._meta.parents.items():
            if link is not None:
                found[parent].append((model, link.name))
    return found


def _target_field(model: Model | None, name: str) -> str:
    """Return the field that a foreign key refers to, as the index calls it."""
    field = model._meta.get_field(name) if model else None
    if not isinstance(field, models.ForeignKey) or target_of(field) is None:
        return _PK
    target = field.target_field
    return _PK if target.primary_key else target.name
