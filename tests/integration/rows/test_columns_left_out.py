"""Columns that belong to no field: a backup warns of those whose values it leaves out."""

import pytest
from django.db import connection

from backup_tasks.rows.scope import columns_left_out
from tests.integration.rows.stored import plain_model
from tests.integration.rows.tables import made

ADDED_BY_HAND = {
    "sqlite": ("length int AS (length(text)) VIRTUAL",),
    "postgres": ("length int GENERATED ALWAYS AS (length(text)) STORED",),
    "mariadb": (
        "length int AS (length(text)) VIRTUAL",
        "doubled text AS (concat(text, text)) STORED",
    ),
}


@pytest.mark.usefixtures("empty_project")
def test_a_generated_column_is_not_left_out_and_another_is(engine: str) -> None:
    model = made(plain_model())
    with connection.cursor() as cursor:
        table = connection.ops.quote_name(model._meta.db_table)
        for column in (*ADDED_BY_HAND[engine], "weight int DEFAULT 5"):
            cursor.execute(f"ALTER TABLE {table} ADD COLUMN {column}")

    (warning,) = columns_left_out(connection, [model])

    assert "the column weight of its table belongs to no field" in warning
