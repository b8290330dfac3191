"""Round trips of models that hypothesis generates: fields, names, keys, references, and rows."""

import io
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from django.db import connection, models, transaction
from django.test.utils import isolate_apps
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_django import DjangoDbBlocker

from backup_tasks.engines import engine_for
from backup_tasks.rows.codec import RowCodec
from backup_tasks.rows.dump import dump_model
from backup_tasks.rows.identities import settled_identities
from backup_tasks.rows.natural_keys import Model
from tests.integration.rows.copy_conformance import copy_gives_the_same
from tests.integration.rows.strategies import KINDS, as_mariadb_has
from tests.services import MakeProject, as_default_database

FIELDS: dict[str, Callable[..., Any]] = {
    "text": models.TextField,
    "boolean": models.BooleanField,
    "small": models.SmallIntegerField,
    "big": models.BigIntegerField,
    "number": models.FloatField,
    "decimal": lambda **options: models.DecimalField(max_digits=14, decimal_places=4, **options),
    "date": models.DateField,
    "time": models.TimeField,
    "moment": models.DateTimeField,
    "duration": models.DurationField,
    "uuid": models.UUIDField,
    "binary": models.BinaryField,
    "data": models.JSONField,
    "address": models.GenericIPAddressField,
}
COLUMNS = st.sampled_from(["", "Two Words", "größe", "select"])
"""What a field's column is called, before its kind."""
CODES = st.text(st.sampled_from("ab é\"\\'%"), max_size=4)


@pytest.fixture
def database(
    engine: str, make_project: MakeProject, django_db_blocker: DjangoDbBlocker
) -> Iterator[None]:
    with django_db_blocker.unblock(), as_default_database(make_project(engine)):
        yield


@st.composite
def graphs(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Draw some models, each of which may refer to itself and to those before it, with rows."""
    drawn: list[dict[str, Any]] = []
    for number in range(draw(st.integers(1, 3))):
        size = draw(st.integers(1, 4))
        refers = [
            (target, draw(st.booleans()) or target == number)
            for target in draw(st.lists(st.integers(0, number), max_size=2))
        ]
        fields = draw(st.dictionaries(st.sampled_from(sorted(FIELDS)), st.booleans(), max_size=4))
        sizes = [*(len(other["rows"]) for other in drawn), size]
        rows = [
            {
                "code": f"{draw(CODES)}{row}",
                **{kind: draw(_values(kind, null=null)) for kind, null in fields.items()},
                "refers": [
                    draw(_maybe(st.integers(0, sizes[target] - 1), null=null))
                    for target, null in refers
                ],
                "many": draw(st.sets(st.integers(0, sizes[0] - 1))),
            }
            for row in range(size)
        ]
        drawn.append(
            {
                "rows": rows,
                "fields": fields,
                "column": draw(COLUMNS),
                "refers": refers,
                "key": draw(st.sampled_from(["none", "unique", "with a reference"])),
                "uuid": draw(st.booleans()),
            }
        )
    return drawn


def _maybe(values: st.SearchStrategy[Any], *, null: bool) -> st.SearchStrategy[Any]:
    return st.none() | values if null else values


def _values(kind: str, *, null: bool) -> st.SearchStrategy[Any]:
    values = KINDS[kind].filter(lambda value: value is not None)  # JSON's null would be NULL
    return _maybe(values, null=null)


def _model(number: int, drawn: dict[str, Any], others: Sequence[Model]) -> Model:
    attributes: dict[str, Any] = {"__module__": __name__, "code": models.CharField(max_length=20)}
    for kind, null in drawn["fields"].items():
        column = f"{drawn['column']} {kind}".strip()
        attributes[kind] = FIELDS[kind](null=null, db_column=column)
    for at, (target, null) in enumerate(drawn["refers"]):
        attributes[f"refers{at}"] = models.ForeignKey(
            others[target] if target < number else "self",
            models.CASCADE,
            null=null,
            related_name="+",
        )
    if drawn["uuid"]:
        attributes["id"] = models.UUIDField(primary_key=True)
    attributes["many"] = models.ManyToManyField(others[0] if number else "self", related_name="+")
    key = {"none": (), "unique": ("code",), "with a reference": ("code", "refers0")}[drawn["key"]]
    if "refers0" in key and (not drawn["refers"] or drawn["refers"][0][1]):
        key = ("code",)
    unique = [models.UniqueConstraint(fields=key, name=f"drawn{number}")] if key else []
    meta = {"app_label": "testapp", "db_table": f"Drawn Table {number}", "constraints": unique}
    attributes["Meta"] = type("Meta", (), meta)
    return type(f"Drawn{number}", (models.Model,), attributes)


def _fill(drawn: Sequence[dict[str, Any]], made: Sequence[Any]) -> None:
    known: list[list[Any]] = []
    held = as_mariadb_has if connection.vendor == "mysql" else dict
    for model, one in zip(made, drawn, strict=True):
        rows = [
            model(
                pk=uuid.UUID(int=number, version=4) if one["uuid"] else number,
                code=row["code"],
                **held({kind: row[kind] for kind in one["fields"]}),
            )
            for number, row in enumerate(one["rows"], start=1)
        ]
        known.append(rows)
        for made_row, row in zip(rows, one["rows"], strict=True):
            for at, (target, _) in enumerate(one["refers"]):
                to = row["refers"][at]
                setattr(made_row, f"refers{at}_id", None if to is None else known[target][to].pk)
        # A row may refer to one that comes after it.
        with connection.constraint_checks_disabled(), transaction.atomic():
            model._base_manager.bulk_create(rows)
        for made_row, row in zip(rows, one["rows"], strict=True):
            made_row.many.set([known[0][at] for at in row["many"]])


def _stored(tables: Sequence[Model]) -> list[list[Any]]:
    return [list(model._base_manager.order_by("pk").values_list()) for model in tables]


def _dumped(tables: Sequence[Model]) -> tuple[list[tuple[Any, ...]], list[tuple[RowCodec, bytes]]]:
    """Return the figures of each table, and its lines."""
    figures, lines = [], []
    with transaction.atomic():
        identities, _ = settled_identities(connection, tables, {})
        for model in tables:
            codec, target = RowCodec(model, identities, connection), io.BytesIO()
            if connection.vendor == "postgresql":
                copy_gives_the_same(codec)
            found = dump_model(codec, target, lambda rows: None)
            figures.append((found.count, found.digest, found.exact))
            lines.append((codec, target.getvalue()))
    return figures, lines


@given(drawn=graphs())
@settings(
    max_examples=30,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@pytest.mark.usefixtures("database")
def test_whatever_the_models_are_their_rows_come_back(drawn: list[dict[str, Any]]) -> None:
    made: list[Any] = []
    with isolate_apps("tests.testapp"):
        for number, one in enumerate(drawn):
            made.append(_model(number, one, made))
    tables = [*made, *(model.many.through for model in made)]
    with connection.schema_editor() as editor:
        for model in made:
            editor.create_model(model)
    try:
        _fill(drawn, made)
        stored = _stored(tables)
        before, lines = _dumped(tables)

        engine = engine_for("default")
        with engine.loading([codec.table for codec, _ in lines], attempt=1):
            for codec, member in lines:
                rows = (codec.decode(line) for line in member.splitlines())
                engine.write(codec.table, codec.columns, rows)

        assert _dumped(tables)[0] == before
        assert [count for count, *_ in before] == [len(rows) for rows in stored]
        assert stored == [
            list(model._base_manager.order_by("pk").values_list()) for model in tables
        ]
    finally:
        with connection.schema_editor() as editor:
            for model in reversed(made):
                editor.delete_model(model)
