"""Rows as the database stores them: inserted and read by SQL, past fields and converters."""

import io
import json
from collections.abc import Sequence
from typing import Any

from django.apps import apps
from django.core import serializers
from django.db import connection, models
from django.test.utils import isolate_apps
from hypothesis import HealthCheck, settings

from backup_tasks.engines import engine_for
from backup_tasks.engines.sqlite.texts import UndecodedText
from backup_tasks.rows.codec import RowCodec
from backup_tasks.rows.natural_keys import Identity
from tests.integration.rows.tables import dumped

BOUNDED = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@isolate_apps("tests.testapp")
def plain_model() -> type[models.Model]:
    class Stored(models.Model):
        text = models.TextField(null=True)  # noqa: DJ001 - NULL and "" are to be told apart
        integer = models.IntegerField(null=True)
        boolean = models.BooleanField(null=True)
        number = models.FloatField(null=True)
        decimal = models.DecimalField(max_digits=10, decimal_places=2, null=True)
        date = models.DateField(null=True)
        day = models.DateField(default="2026-01-01")
        time = models.TimeField(null=True)
        moment = models.DateTimeField(null=True)
        duration = models.DurationField(null=True)
        uuid = models.UUIDField(null=True)
        binary = models.BinaryField(null=True)
        data = models.JSONField(null=True)
        address = models.GenericIPAddressField(null=True)
        file = models.FileField(null=True)

        class Meta:
            app_label = "testapp"

        def __str__(self) -> str:
            return str(self.pk)

    return Stored


def stored(model: type[models.Model]) -> list[Any]:
    """The rows in the database's own terms, past every conversion."""
    asked = {
        "sqlite": "typeof({0}) || ' ' || CASE typeof({0}) WHEN 'real' THEN quote({0})"
        " ELSE hex(CAST({0} AS BLOB)) END",
        "postgresql": "{0}::text",
        "mysql": "coalesce(hex({0}), 'NULL')",
    }[connection.vendor]
    columns = [connection.ops.quote_name(field.column) for field in model._meta.concrete_fields]
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {', '.join(map(asked.format, columns))} FROM {model._meta.db_table}"
            f" ORDER BY {columns[0]}"
        )
        return list(cursor.fetchall())


def insert(model: type[models.Model], **values: Any) -> None:
    """Insert a row by SQL, past the fields."""
    names = ", ".join(connection.ops.quote_name(name) for name in values)
    marks = ["CAST(%s AS TEXT)" if type(v) is UndecodedText else "%s" for v in values.values()]
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {model._meta.db_table} ({names}) VALUES ({', '.join(marks)})",
            list(values.values()),
        )


def load(model: type[models.Model], lines: Sequence[bytes]) -> None:
    codec, engine = RowCodec(model, {model: Identity()}, connection), engine_for("default")
    with engine.loading([codec.table], attempt=1):
        engine.write(codec.table, codec.columns, [codec.decode(line) for line in lines])


def assert_comes_back(model: type[models.Model]) -> list[dict[str, Any]]:
    """Dump the table, empty it, load it: the same is stored. Return the lines."""
    before = stored(model)
    lines, figures = dumped(model)
    load(model, lines)
    assert stored(model) == before
    assert dumped(model)[1] == figures
    assert len(read_by_django(model, lines)) == len(lines)
    return [json.loads(line) for line in lines]


def read_by_django(model: type[models.Model], lines: Sequence[bytes]) -> list[Any]:
    """What `loaddata` makes of the lines."""
    known = apps.all_models[model._meta.app_label]
    known[model._meta.model_name or ""] = model
    try:
        # As it reads a file: of a text, Django would take U+0085 for the end of a line.
        return list(serializers.deserialize("jsonl", io.BytesIO(b"\n".join(lines))))
    finally:
        del known[model._meta.model_name or ""]
