"""The manifest: what a package holds, and everything a restore needs to know to prove it.

It is the first member of a package, `manifest.json`: indented JSON, UTF-8. Its size depends on the
number of models, never on the number of rows or files; those are in members of their own, whose
sizes and SHA-256 it states. Its last key, `sha256`, is of everything else in it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from dataclasses import field as member_of
from typing import TypedDict

from backup_tasks.package import names, strict
from backup_tasks.package.damage import damaged
from backup_tasks.package.entries import (
    Exclusion,
    ModelEntry,
    SequenceEntry,
    read_exclusion,
    read_model,
    read_sequence,
)
from backup_tasks.package.facts import (
    FORMAT,
    PackageType,
    Totals,
    read_facts,
    read_format,
    read_totals,
    without_empty,
)
from backup_tasks.printable import printable

MANIFEST_LIMIT = 16 << 20
"""Bytes of the largest manifest that is read. One of 1,000 models of 20 fields has 4 MB."""

_VALUES_LIMIT = 300_000
"""Commas and brackets of the largest manifest that is read. Read, a value may take a hundred times
its room; 1,000 models of 20 fields have 120,000."""

_SMALL = 1 << 20
_RATIO = 100


@dataclass(frozen=True, kw_only=True)
class FileIndex:
    """The member `files.jsonl`, which lists the files of a package."""

    count: int
    """Files."""

    total_size: int
    """Bytes of all files."""

    sha256: str
    """Of the index."""

    size: int
    """Bytes of the index."""


class Contents(TypedDict):
    """What a manifest says of one database: the keys of the same names."""

    database: Mapping[str, str]
    migrations: tuple[tuple[str, str], ...]
    models: tuple[ModelEntry, ...]
    excluded: tuple[Exclusion, ...]
    counters: Mapping[str, int]
    sums: Mapping[str, str]
    sequences: tuple[SequenceEntry, ...]


_OPTIONAL = ("counters", "sums", "sequences")
"""Of these, what is left out where it is empty."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Everything a package says about itself."""

    format: int = FORMAT
    id: str
    label: str
    type: PackageType
    created_at: str
    """ISO 8601 in UTC: the moment of the snapshot."""

    host: str
    project: str
    versions: Mapping[str, str]
    database: Mapping[str, str]
    """`vendor`, `version`, `isolation`; `alias` where the package holds several databases."""

    migrations: tuple[tuple[str, str], ...]
    """(app label, migration), all that were applied."""

    models: tuple[ModelEntry, ...]
    excluded: tuple[Exclusion, ...]
    files: FileIndex | None
    """None when the package holds no files."""

    warnings: tuple[str, ...]
    """They may name files, so `told` is what is shown of them."""

    @property
    def told(self) -> list[str]:
        """The warnings, as they can be shown and kept."""
        return [printable(line, keep="\n") for line in self.warnings]

    incomplete: str = ""
    """Why the package is no good backup, such as which files it lacks. Empty, and left out, where
    it is one."""

    accepted: str = ""
    """The same, where somebody has accepted that they are gone. Left out where there is none."""

    counters: Mapping[str, int] = member_of(default_factory=dict)
    """Table → the highest primary key that the database has given, also to a row that is gone.
    Left out where there is none."""

    sums: Mapping[str, str] = member_of(default_factory=dict)
    """Label → the sums of `rows.second_look`, of models that have rows. Left out where there is
    none."""

    sequences: tuple[SequenceEntry, ...] = ()
    """Those of the tables' columns, and those that no column owns. Left out where there is none."""

    databases: Mapping[str, Contents] = member_of(default_factory=dict)
    """By alias, the further databases of a package that holds several; the keys above are of the
    first. Left out where there is none."""

    def part(self, alias: str = "") -> Manifest:
        """Return the manifest of one of the databases alone; "": of the first, and the files."""
        if not self.databases:
            return self
        alone = replace(self, databases={})
        return replace(alone, **self.databases[alias], files=None) if alias else alone

    @property
    def parts(self) -> dict[str, Manifest]:
        """The manifest of each database alone, by alias; "": of the first."""
        return {alias: self.part(alias) for alias in ("", *self.databases)}

    @property
    def every_model(self) -> list[ModelEntry]:
        """The models of all databases, in the order of their members."""
        return [model for part in self.parts.values() for model in part.models]

    @property
    def counts(self) -> dict[str, int]:
        """The rows of each model, by `names.in_database`."""
        return {
            names.in_database(alias, model.label): model.count
            for alias, part in self.parts.items()
            for model in part.models
        }

    @property
    def exact(self) -> dict[str, str]:
        """The exact digest of each model, by `names.in_database`."""
        return {
            names.in_database(alias, model.label): model.exact
            for alias, part in self.parts.items()
            for model in part.models
        }

    @property
    def totals(self) -> Totals:
        models = self.every_model
        return Totals(
            models=len(models),
            rows=sum(model.count for model in models),
            files=self.files.count if self.files else 0,
            content_size=sum(model.size for model in models)
            + (self.files.total_size if self.files else 0),
        )

    def to_json(self) -> bytes:
        """Return the manifest as it stands in a package. The same values give the same bytes."""
        values = without_empty(asdict(self), "incomplete", "accepted", *_OPTIONAL, "databases")
        for alias, contents in values.get("databases", {}).items():
            values["databases"][alias] = without_empty(contents, *_OPTIONAL)
        values["totals"] = asdict(self.totals)
        values["sha256"] = _sha256(values)
        return json.dumps(values, indent=2).encode() + b"\n"

    @classmethod
    def from_json(cls, content: bytes) -> Manifest:
        """Return the manifest in `content`.

        Raises DoesNotFit for a newer format; PackageDamaged for anything that is missing, unknown,
        of another type, or at odds with itself; and for one that is too large, before it takes
        the memory.
        """
        values = sum(map(content.count, (b",", b"[", b"{")))
        if len(content) > MANIFEST_LIMIT or values > _VALUES_LIMIT:
            raise damaged(
                f"the manifest has {len(content)} bytes and {values} values, more than "
                f"{MANIFEST_LIMIT} or {_VALUES_LIMIT}",
                obj=names.MANIFEST,
            )
        record = strict.parse(content, names.MANIFEST)
        version = read_format(record)
        if record.sha256("sha256") != _sha256({"format": version, **record.rest()}):
            raise damaged("the manifest does not have the SHA-256 it states", obj=names.MANIFEST)
        manifest = cls(
            format=version,
            **read_facts(record),
            versions=record.text_map("versions"),
            **_contents(record),
            files=None if record.is_null("files") else _file_index(record.record("files")),
            warnings=record.texts("warnings"),
            incomplete=record.text_if_any("incomplete"),
            accepted=record.text_if_any("accepted"),
            databases={} if record.lacks("databases") else dict(_further(record)),
        )
        totals = read_totals(record.record("totals"))
        record.done()
        for part in manifest.parts.values():
            _check_labels(part)
        if totals != manifest.totals:
            raise damaged("the totals do not add up", obj=names.MANIFEST)
        return manifest


def largest_in(package_size: int) -> int:
    """Return how many bytes the manifest of a package of so many bytes can have.

    Packed, a manifest takes a tenth of its room or so; digests and names see to that.
    """
    return min(MANIFEST_LIMIT, _SMALL + _RATIO * package_size)


def _sha256(values: Mapping[str, object]) -> str:
    """Return the SHA-256 of everything else in a manifest, as compact JSON with sorted keys.

    It finds accidents where no compression's or encryption's checksum would, in a plain tar.
    """
    compact = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(compact.encode()).hexdigest()


def _contents(record: strict.Record, alias: str = "") -> Contents:
    return Contents(
        database=record.text_map("database"),
        migrations=record.pairs("migrations"),
        models=tuple(read_model(entry, alias) for entry in record.records("models")),
        excluded=tuple(read_exclusion(entry) for entry in record.records("excluded")),
        counters={} if record.lacks("counters") else record.count_map("counters"),
        sums={} if record.lacks("sums") else record.text_map("sums"),
        sequences=()
        if record.lacks("sequences")
        else tuple(map(read_sequence, record.records("sequences"))),
    )


def _further(record: strict.Record) -> Iterator[tuple[str, Contents]]:
    found = [*record.record_map("databases")]
    if not found:
        raise record.wrong("databases", "an object that names a database")
    for alias, contents in found:
        if not names.is_alias(alias):
            raise damaged("a database has a name that no folder may have", obj=names.MANIFEST)
        yield alias, _contents(contents, alias)
        contents.done()


def _file_index(record: strict.Record) -> FileIndex:
    index = FileIndex(
        count=record.count("count"),
        total_size=record.count("total_size"),
        sha256=record.sha256("sha256"),
        size=record.count("size"),
    )
    record.done()
    return index


def _check_labels(manifest: Manifest) -> None:
    labels = [model.label for model in manifest.models]
    labels += [exclusion.label for exclusion in manifest.excluded]
    seen: set[str] = set()
    for label in labels:
        if label in seen:
            raise damaged("the manifest names the model twice", obj=label)
        seen.add(label)
