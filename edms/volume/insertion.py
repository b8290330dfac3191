"""Inserts rows in bulk, with primary keys given out here.

Keys are taken in advance so that rows of one batch can refer to each other, and so that no engine
has to hand generated keys back. `Keys.settle` tells the database's sequences afterwards.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

from django.core.management.color import no_style
from django.db import DEFAULT_DB_ALIAS, connection, connections, models, reset_queries
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Max

Model = type[models.Model]
AnyField: TypeAlias = "models.Field[Any, Any]"

# Their values need no preparation for PostgreSQL's COPY.
_PLAIN: "tuple[type[AnyField], ...]" = (
    models.ForeignKey,
    models.IntegerField,
    models.BooleanField,
    models.CharField,
    models.TextField,
    models.DateField,
    models.UUIDField,
)


class Keys:
    """Gives out primary keys, from the first free one of each table on."""

    def __init__(self) -> None:
        self._next: dict[Model, int] = {}

    def take(self, model: Model) -> int:
        """Return a primary key that no row of `model` has."""
        if model not in self._next:
            newest = model._base_manager.aggregate(newest=Max("pk"))["newest"]
            self._next[model] = (newest or 0) + 1
        key = self._next[model]
        self._next[model] = key + 1
        return key

    def settle(self) -> None:
        """Set the sequences of the tables past the keys that were taken."""
        with connection.cursor() as cursor:
            for statement in connection.ops.sequence_reset_sql(no_style(), list(self._next)):
                cursor.execute(statement)


@contextmanager
def referring_ahead() -> Iterator[None]:
    """Let rows refer to rows that come later.

    MariaDB can't put its checks off to the end of a transaction: it checks every table afterwards,
    and raises IntegrityError.
    """
    if connection.features.can_defer_constraint_checks:
        yield
        return
    with connection.constraint_checks_disabled():
        yield
    connection.check_constraints()


def insert(rows: Sequence[Any]) -> None:
    """Insert rows of one model exactly as they are.

    No signals, no `save()`, no `auto_now`; of a model that inherits from another, only its own
    table. Generated columns are left to the database, and so is a primary key that is None.
    """
    if not rows:
        return
    database = connections[DEFAULT_DB_ALIAS]
    meta = type(rows[0])._meta
    fields = [
        field
        for field in meta.local_concrete_fields
        if not field.generated and not (field.primary_key and rows[0].pk is None)
    ]
    quoted = database.ops.quote_name
    target = f"{quoted(meta.db_table)} ({', '.join(quoted(field.column) for field in fields)})"
    with database.cursor() as cursor:
        if database.vendor == "postgresql":
            with cursor.copy(f"COPY {target} FROM STDIN") as copy:
                for values in _values(rows, fields, database, plain=_PLAIN):
                    copy.write_row(values)
        else:
            marks = ", ".join(["%s"] * len(fields))
            # Table and columns come from the models, quoted; the values are bound.
            statement = f"INSERT INTO {target} VALUES ({marks})"  # noqa: S608
            cursor.executemany(statement, list(_values(rows, fields, database)))
    # In debug mode Django keeps the text of the last statements.
    reset_queries()


def _values(
    rows: Sequence[Any],
    fields: "Sequence[AnyField]",
    database: BaseDatabaseWrapper,
    plain: "tuple[type[AnyField], ...]" = (),
) -> Iterator[list[Any]]:
    """Yield each row's values as the database takes them; fields of the types `plain` as is."""
    names = [field.attname for field in fields]
    convert = [
        (column, field) for column, field in enumerate(fields) if not isinstance(field, plain)
    ]
    for row in rows:
        # Descriptors are slow for a million rows, so they are bypassed.
        state = row.__dict__
        values = [state[name] for name in names]
        for column, field in convert:
            values[column] = field.get_db_prep_save(values[column], database)
        yield values
