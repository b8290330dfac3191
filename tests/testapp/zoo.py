"""One of each: rows that hold what backups lose."""

import datetime as dt
import decimal
import math
import uuid
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any, TypeVar

from django.contrib.contenttypes.models import ContentType
from django.db import connection, connections, models, transaction

from tests.testapp.models import (
    Absent,
    Ambiguous,
    Boss,
    Branch,
    CharKey,
    Compound,
    Computation,
    Computed,
    Counting,
    Dotted,
    Everything,
    Foreign,
    Friend,
    Grill,
    Headquarters,
    Hidden,
    House,
    Inn,
    Loose,
    Membership,
    Node,
    Note,
    OddNames,
    OfAmbiguous,
    OfProxy,
    OneToOneKey,
    Plain,
    Pointer,
    Querying,
    Raising,
    Scoped,
    ScopedGroup,
    Shelf,
    Slotted,
    Stamped,
    SwitchedIn,
    Team,
    ToField,
    UniqueOnly,
    UuidKey,
)

T = TypeVar("T", bound=models.Model)

GONE = uuid.UUID("00000000-dead-beef-0000-000000000000")
THEN = dt.datetime(2001, 2, 3, 4, 5, 6, 123457, tzinfo=dt.UTC)


def rows_of(model: type[T]) -> "models.QuerySet[T]":
    """All rows of the table, whatever the model's managers say."""
    return models.QuerySet(model)


def add(*instances: models.Model) -> None:
    """Insert rows as they are: no manager, no signal, no automatic time."""
    for instance in instances:
        fields = [field for field in instance._meta.local_concrete_fields if not field.generated]
        rows_of(type(instance))._insert([instance], fields=fields, using="default", raw=True)  # type: ignore[attr-defined]  # what a raw save ends in


def populate(alias: str = "default") -> None:
    """Put everything into the database behind the alias."""
    ContentType.objects.clear_cache()  # it may know another database's
    with transaction.atomic(alias), ExitStack() as stack:
        if not connections[alias].features.can_defer_constraint_checks:
            stack.enter_context(connections[alias].constraint_checks_disabled())
        add_values()
        add_keys()
        add_trees()
        add_references()
        add_hidden()


EXTREMES: Sequence[dict[str, Any]] = (
    {},
    {"char": "", "text": "", "binary": b"", "data": {}, "file": "", "slug": ""},
    {
        "char": "\U0001f9fe ünïcode \uff21\uff22 \u200d",
        "text": 'line\r\nline\ttab\\ back\\\\slashes\\N "quotes" \x01\x02\x7f \u2028 \ufeff %s {0}',
        "slug": "a-b_c",
        "boolean": True,
        "small": -(2**15),
        "integer": -(2**31),
        "big": -(2**63),
        "positive": 0,
        "number": 0.1 + 0.2,
        "decimal": decimal.Decimal("-12345678.9000"),
        "date": dt.date(1, 1, 1),
        "time": dt.time(0, 0, 0, 1),
        "moment": dt.datetime(33, 4, 3, 15, 0, 0, 1, tzinfo=dt.UTC),
        "duration": dt.timedelta(days=-1, microseconds=1),
        "uuid": uuid.UUID(int=0),
        "binary": bytes(range(256)),
        "data": {"b": 1, "a": {"z": [None, True, "\u2028"], "y": {}}},
        "address": "2001:db8::1",
        "file": "ünï/ code.pdf",
    },
    {
        "char": "\\.",
        "text": "\\N",
        "boolean": False,
        "small": 2**15 - 1,
        "integer": 2**31 - 1,
        "big": 2**63 - 1,
        "positive": 2**63 - 1,
        "number": -1e-308,
        "decimal": decimal.Decimal("99999999.9999"),
        "date": dt.date(9999, 12, 31),
        "time": dt.time(23, 59, 59, 999999),
        "moment": dt.datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=dt.UTC),
        "duration": dt.timedelta(days=100000, hours=23, microseconds=999999),
        "uuid": uuid.UUID(int=2**128 - 1),
        "data": [1.5, 1e15, 1e-7, 12345678901234567890123, -(2**70), "1e5"],
        "address": "192.0.2.1",
    },
    {"number": 1e300, "decimal": decimal.Decimal("0.0001"), "data": "text"},
    {"number": 5e-324, "decimal": decimal.Decimal(0), "data": 0},
    {"number": -0.0, "data": [], "moment": THEN.replace(microsecond=0), "date": dt.date(999, 1, 1)},
    {"number": float("inf"), "data": False},
    {"number": float("-inf"), "data": ""},
)


PECULIAR: Mapping[str, Sequence[dict[str, Any]]] = {
    # What only one of the databases can hold, or what each of them holds in its own way.
    "sqlite": (
        {"text": "a\0b", "char": "\0"},
        {"data": [-0.0, 1e300, 1e16, {"\0": "\0"}]},
        {"integer": 2**40, "small": 2**20},
    ),
    "postgresql": (
        {"number": float("nan")},
        {"data": [-0.0, 1e300, 1e16]},
        {"moment": dt.datetime(1, 1, 1, tzinfo=dt.UTC)},
    ),
    "mysql": (
        {"text": "a\0b", "char": "\0"},
        {"data": [-0.0, 1e300, 1e16]},
        {"positive": 2**64 - 1},
        {"moment": dt.datetime(1, 1, 1, tzinfo=dt.UTC)},
    ),
}


def add_values() -> None:
    for number, values in enumerate(EXTREMES):
        if connection.vendor == "mysql" and math.isinf(values.get("number", 0)):
            continue  # it has no such number
        add(Everything(pk=10 + 7 * number, **values))
    json_null = Everything(pk=1000, char="JSON's null", data=models.Value(None, models.JSONField()))
    json_null.save(force_insert=True)
    add(
        Plain(pk=5, name="first", number=-3, price=decimal.Decimal("12.50"), data={"b": 1, "a": 2}),
        Plain(
            pk=2, name="second", above_id=5, day=dt.date(2024, 2, 29), token=uuid.UUID(int=7),
            raw=b"\x00\xff", done=True, data=[None],
        ),
        Stamped(pk=3, name="old", created=THEN, updated=THEN, day=THEN.date()),
        Dotted(pk=4, words=["a", "b"]),
        Dotted(pk=5, words=None),
        OddNames(pk=6, order="one", select=1, quoted="o'clock; --"),
        OddNames(pk=8, order="two", other_id=6),
    )  # fmt: skip
    rows_of(Computation).create(pk=9, word="quiet")


def add_keys() -> None:
    first, second = uuid.UUID(int=1), uuid.UUID(int=2)
    add(
        UuidKey(pk=second, name="second", next_id=first),
        UuidKey(pk=first, name="first", next_id=second),
        CharKey(pk="C/1 ü", name="coded"),
        CharKey(pk="", name="an empty code"),
        OneToOneKey(pk="C/1 ü", note="owned"),
        Compound(tenant=1, number=2, title="one two", owner_id="C/1 ü"),
        Compound(tenant=2, number=1, title="two one"),
        Shelf(pk=31, owner_id="C/1 ü", label="top"),
        ToField(pk=32, shelf_id="top"),
        Slotted(pk=33, shelf_id=31, position=1),
        UniqueOnly(pk=34, email="a@example.com"),
        Ambiguous(pk=35, name="twin"),
        Ambiguous(pk=36, name="twin"),
        OfAmbiguous(pk=37, target_id=36),
        Computed(pk=38, first="a", second="b"),
        Raising(pk=39, name="r"),
        Querying(pk=40, name="q", code="C/1 ü"),
        Counting(pk=41, number=7, name="c"),
        SwitchedIn(pk=42, name="in"),
    )


def add_trees() -> None:
    add(
        Node(pk=90, name="child", parent_id=70),  # refers ahead
        Node(pk=70, name="root", parent_id=None),
        Node(pk=80, name="own parent", parent_id=80),
        Headquarters(pk=51, city="Bergen", best_id=61),
        Branch(pk=61, city="Ghent", head_id=51),
        Boss(pk=52, name="a", above_id=53),
        Boss(pk=53, name="b", above_id=52),
        House(pk=71, address="Main street"),
        House(pk=72, address="Side street"),
        House(pk=73, address="Harbour"),
        House(pk=75, address="No inn"),
        Inn(house_ptr_id=71, beds=3),
        Inn(house_ptr_id=72, beds=1),
        Inn(house_ptr_id=73, beds=9),
        Grill(inn_ptr_id=71, stars=2, twin_id=72),
        Grill(inn_ptr_id=72, stars=0, twin_id=71),
    )
    add(OfProxy(pk=74, inn_id=71))
    child, root = rows_of(Node).get(pk=90), rows_of(Node).get(pk=70)
    child.friends.set([root])
    child.follows.set([root, child])


def add_references() -> None:
    add(Friend(pk=1, name="Bo"), Friend(pk=4, name="Cy"), Team(pk=3, name="reds"))
    team = rows_of(Team).get(pk=3)
    team.fans.set([1, 4])
    add(Membership(pk=11, team_id=3, friend_id=4, since=THEN))
    add(Membership(pk=12, team_id=3, friend_id=4, since=THEN))
    kinds = {
        model: ContentType.objects.get_for_model(model)
        for model in (Node, UuidKey, CharKey, Absent, Everything)
    }
    unknown = ContentType.objects.create(app_label="removed", model="thing")
    add(
        Note(pk=1, content_type=kinds[Node], object_id="90"),
        Note(pk=2, content_type=kinds[UuidKey], object_id=str(uuid.UUID(int=1))),
        Note(pk=3, content_type=kinds[CharKey], object_id="C/1 ü"),
        Note(pk=4, content_type=kinds[Node], object_id="4711"),  # leads nowhere
        Note(pk=5, content_type=unknown, object_id="1"),
        Note(pk=6, content_type=kinds[Absent], object_id="1"),
        Pointer(pk=1, kind=kinds[Everything], number=10, data={"node": 90, "user": [1, 2]}),
        Pointer(pk=2, kind=None, number=3),
        Pointer(pk=3, kind=kinds[Node], number=None),
        Pointer(pk=4, kind=kinds[Node], number=70),
        Loose(pk=1, node_id=90, uuid_id=uuid.UUID(int=1)),
        Loose(pk=2, node_id=4711, uuid_id=GONE),
        Loose(pk=3, node_id=None, uuid_id=None),
    )


def add_hidden() -> None:
    add(Hidden(pk=1, name="seen"), Hidden(pk=2, name="deleted", deleted=True))
    add(ScopedGroup(pk=5, name="tenant"), Scoped(pk=6, group_id=5))
    between: Any = Scoped._meta.get_field("others")
    add(between.remote_field.through(pk=8, scoped_id=6, scopedgroup_id=5))
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {Foreign._meta.db_table} (id, name) VALUES (1, 'theirs')")
