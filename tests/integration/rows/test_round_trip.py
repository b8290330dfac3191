"""Round trips of values of every type through lines, without a package."""

import datetime as dt
import decimal
import io
import json
import math
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core import serializers
from django.db import connection, models, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_django import DjangoDbBlocker

from backup_tasks.engines import engine_for
from backup_tasks.errors import DumpFailed
from backup_tasks.rows.codec import RowCodec
from backup_tasks.rows.dump import Dumped, dump_model
from backup_tasks.rows.identities import settled_identities
from tests.integration.rows.strategies import KINDS, as_mariadb_has
from tests.services import Project, as_default_database
from tests.testapp.models import Everything, Plain, UniqueOnly
from tests.testapp.zoo import PECULIAR, add, rows_of


@pytest.fixture
def scratch(
    engine: str, zoos: Callable[[str], Project], django_db_blocker: DjangoDbBlocker
) -> Iterator[str]:
    """A transaction on a database with the tables, undone afterwards."""
    with (
        django_db_blocker.unblock(),
        as_default_database(zoos(engine)),
        transaction.atomic(),
    ):
        rows_of(Everything)._raw_delete("default")
        yield engine
        transaction.set_rollback(True)


def codec_of(model: type[models.Model]) -> RowCodec:
    identities, _ = settled_identities(connection, [model], {})
    return RowCodec(model, identities, connection)


def dumped(model: type[models.Model]) -> tuple[list[bytes], Dumped]:
    """Return the model's lines and figures."""
    target = io.BytesIO()
    figures = dump_model(codec_of(model), target, lambda rows: None)
    return target.getvalue().splitlines(), figures


def round_trip(model: type[models.Model]) -> None:
    """Dump the table, empty it, load it, dump it again: nothing may differ."""
    lines, before = dumped(model)
    codec, engine = codec_of(model), engine_for("default")
    with engine.loading([codec.table], attempt=1):
        engine.write(codec.table, codec.columns, [codec.decode(line) for line in lines])
    again, after = dumped(model)
    assert sorted(again) == sorted(lines)
    assert (after.count, after.digest, after.exact) == (before.count, before.digest, before.exact)
    assert before.count == len(lines) > 0


def test_what_only_this_database_can_hold_comes_back(scratch: str) -> None:
    """Zero bytes and integers beyond the column on SQLite, NaN on PostgreSQL, JSON's numbers."""
    for number, values in enumerate(PECULIAR[connection.vendor], start=1):
        add(Everything(pk=number, **values))
    with connection.cursor() as cursor:
        stored = f"SELECT * FROM {Everything._meta.db_table} ORDER BY id"
        cursor.execute(stored)
        before = repr(cursor.fetchall())
        round_trip(Everything)
        cursor.execute(stored)
        assert repr(cursor.fetchall()) == before


VALUES = st.fixed_dictionaries({}, optional=KINDS)


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(batch=st.lists(VALUES, min_size=1, max_size=6))
def test_whatever_the_columns_hold_comes_back(scratch: str, batch: list[dict[str, Any]]) -> None:
    """T3, T10, and values that hypothesis finds."""
    rows_of(Everything)._raw_delete("default")
    if scratch == "mariadb":
        batch = [as_mariadb_has(values) for values in batch]
    add(*(Everything(pk=number, **values) for number, values in enumerate(batch, start=1)))
    before = list(rows_of(Everything).order_by("pk").values())

    round_trip(Everything)

    after = list(rows_of(Everything).order_by("pk").values())
    assert list(map(plainly, after)) == list(map(plainly, before))


def plainly(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: bytes(value) if isinstance(value, memoryview) else value
        for name, value in row.items()
    }


def test_dumpdata_writes_the_same_of_plain_models(zoo: Project) -> None:
    """T17: Django's own serializer agrees, to the value, where it loses nothing itself."""
    with transaction.atomic():
        ours = [json.loads(line) for line in dumped(Plain)[0]]
    text = serializers.serialize(
        "jsonl",
        rows_of(Plain).all(),
        use_natural_foreign_keys=True,
        use_natural_primary_keys=True,
    )
    theirs = [json.loads(line) for line in text.splitlines()]

    def known(line: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in line.items() if not name.startswith("_")}

    by_name: Callable[[Any], str] = lambda line: line["fields"]["name"]  # noqa: E731
    assert [known(line) for line in sorted(ours, key=by_name)] == sorted(theirs, key=by_name)


def test_django_reads_our_lines(zoo: Project) -> None:
    """Invariant 8."""
    with transaction.atomic():
        lines = io.BytesIO(b"\n".join(dumped(Everything)[0]))  # as loaddata opens a file
    loaded = {
        deserialized.object.pk: deserialized.object
        for deserialized in serializers.deserialize("jsonl", lines)
    }

    for row in rows_of(Everything).all():
        for field in Everything._meta.concrete_fields:
            ours, theirs = getattr(loaded[row.pk], field.attname), getattr(row, field.attname)
            if isinstance(theirs, memoryview):
                ours, theirs = bytes(ours), bytes(theirs)
            assert ours == theirs, (row.pk, field.name)


def test_a_digest_knows_every_change_and_no_order(scratch: str) -> None:
    """Invariant 2: equal rows don't cancel each other out."""
    add(Everything(pk=1, char="a"), Everything(pk=2, char="a"))
    both = dumped(Everything)[1]
    rows_of(Everything).filter(pk=1).delete()
    one = dumped(Everything)[1]
    add(Everything(pk=1, char="a"))
    again = dumped(Everything)[1]
    rows_of(Everything).filter(pk=2).update(char="b")
    changed = dumped(Everything)[1]

    assert (again.digest, again.exact) == (both.digest, both.exact)
    assert len({both.digest, one.digest, changed.digest, "0" * 64}) == 4


def test_a_natural_digest_does_not_depend_on_primary_keys(scratch: str) -> None:
    add(Plain(pk=501, name="x"))
    before = dumped(Plain)[1]
    rows_of(Plain).filter(pk=501).delete()
    add(Plain(pk=502, name="x"))
    after = dumped(Plain)[1]

    assert after.digest == before.digest
    assert after.exact != before.exact


def test_fewer_rows_than_the_table_has_are_refused(
    scratch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P7: a dump that lost rows on the way is no dump."""
    codec = codec_of(UniqueOnly)
    monkeypatch.setattr("backup_tasks.rows.read.copy_lines", lambda codec: None)
    codec.query.source += " JOIN (SELECT 1) none_at_all ON 1 = 0"

    with pytest.raises(DumpFailed) as refused:
        dump_model(codec, io.BytesIO(), lambda rows: None)

    assert "testapp.uniqueonly" in str(refused.value)
    assert "1 rows, 0 were read" in str(refused.value)


def test_floats_are_written_so_that_they_read_back(scratch: str) -> None:
    numbers = [0.1 + 0.2, 1 / 3, 5e-324, 1.7976931348623157e308, 1e22]
    if scratch != "mariadb":
        numbers.append(math.inf)
    add(*(Everything(pk=at, number=number) for at, number in enumerate(numbers, start=1)))
    read = [json.loads(line)["fields"]["number"] for line in sorted(dumped(Everything)[0])]
    assert [float(value) for value in read] == numbers


def test_encoded_values_are_what_the_format_says(scratch: str) -> None:
    add(
        Everything(
            pk=1,
            decimal=decimal.Decimal("12.5000"),
            duration=dt.timedelta(days=1, hours=2, minutes=3, seconds=4, microseconds=5),
            time=dt.time(1, 2, 3),
            uuid=uuid.UUID(int=7),
            binary=b"\0\xff",
        )
    )
    (line,) = dumped(Everything)[0]
    fields = json.loads(line)["fields"]
    assert fields["decimal"] == "12.5000"
    assert fields["duration"] == "1 02:03:04.000005"
    assert fields["time"] == "01:02:03.000000"
    assert fields["uuid"] == "00000000-0000-0000-0000-000000000007"
    assert fields["binary"] == "AP8="
