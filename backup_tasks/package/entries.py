"""What a manifest says of each model: in the package, or left out; and how it is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast, get_args

from backup_tasks.package import names, strict
from backup_tasks.package.damage import damaged

_LABEL_OF_MODEL = 200


Identity = Literal["natural", "primary key"]


@dataclass(frozen=True, kw_only=True)
class FieldEntry:
    """A field of a model, as the tables were when the package was made."""

    name: str
    column: str
    type: str
    """Django's internal type: `CharField`."""

    relation: str | None
    """Label of the model it points to."""


@dataclass(frozen=True, kw_only=True)
class ModelEntry:
    """A model whose rows are in the package."""

    label: str
    """`app.model`, lower case."""

    table: str
    count: int
    """Rows."""

    digest: str
    """Content digest over natural keys: the same on every database engine."""

    exact: str
    """Content digest of the rows as they are, primary keys included."""

    member: str | None
    """Where the rows are, one line each. None for a model without rows."""

    size: int
    """Bytes of the member."""

    sha256: str
    """Of the member. Empty without one."""

    natural_key: tuple[str, ...] | None
    identity: Identity
    fields: tuple[FieldEntry, ...]
    dangling: Mapping[str, int]
    """Field name → rows whose reference pointed nowhere when the package was made."""


@dataclass(frozen=True, kw_only=True)
class Exclusion:
    """A model whose rows are not in the package, and why."""

    label: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class SequenceEntry:
    """A sequence of the database: how far it has counted."""

    name: str
    table: str
    column: str
    """The column that owns it; both empty where none does."""

    last: int
    called: bool
    """Whether `last` was given; else it is the next number to be given."""

    increment: int
    """Below 0 where it counts down."""

    cache: int
    cycle: bool

    @property
    def given(self) -> int:
        """The last number that was given, or would have been before the first."""
        return self.last if self.called else self.last - self.increment


def read_model(record: strict.Record, alias: str = "") -> ModelEntry:
    """Take all keys of a model of the database `alias`, the first for "". Raises PackageDamaged."""
    entry = ModelEntry(
        label=record.line("label", _LABEL_OF_MODEL),
        table=record.text("table"),
        count=record.count("count"),
        digest=record.text("digest"),
        exact=record.text("exact"),
        member=record.text_or_none("member"),
        size=record.count("size"),
        sha256=record.text("sha256"),
        natural_key=None if record.is_null("natural_key") else record.texts("natural_key"),
        identity=cast("Identity", record.one_of("identity", get_args(Identity))),
        fields=tuple(_field(field) for field in record.records("fields")),
        dangling=record.count_map("dangling"),
    )
    record.done()
    if entry.member is None:
        if entry.count or entry.size or entry.sha256:
            raise damaged("the manifest says there are rows, but names no member", obj=entry.label)
    elif not names.is_row_member(entry.member, entry.label, alias):
        raise record.wrong("member", f"a member of {entry.label}")
    elif not strict.is_sha256(entry.sha256):
        raise record.wrong("sha256", "a SHA-256 of 64 hexadecimal digits")
    return entry


def read_sequence(record: strict.Record) -> SequenceEntry:
    """Take all keys of a sequence. Raises PackageDamaged."""
    entry = SequenceEntry(
        name=record.text("name"),
        table=record.text("table"),
        column=record.text("column"),
        last=record.number("last"),
        called=record.flag("called"),
        increment=record.number("increment"),
        cache=record.count("cache"),
        cycle=record.flag("cycle"),
    )
    record.done()
    if not entry.increment:
        raise record.wrong("increment", "a number other than 0")
    return entry


def _field(record: strict.Record) -> FieldEntry:
    field = FieldEntry(
        name=record.text("name"),
        column=record.text("column"),
        type=record.text("type"),
        relation=record.text_or_none("relation"),
    )
    record.done()
    return field


def read_exclusion(record: strict.Record) -> Exclusion:
    """Take all keys of a model that was left out. Raises PackageDamaged."""
    label = record.line("label", _LABEL_OF_MODEL)
    exclusion = Exclusion(label=label, reason=record.text("reason"))
    record.done()
    return exclusion
