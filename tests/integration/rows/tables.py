"""Tables of models that a test defines, and what a dump makes of them."""

import io
from contextlib import AbstractContextManager
from typing import Any

from django.db import connection, models, transaction

from backup_tasks.engines import engine_for
from backup_tasks.rows.codec import RowCodec
from backup_tasks.rows.dump import Dumped, dump_model
from backup_tasks.rows.natural_keys import Identity


def made(model: type[models.Model]) -> type[models.Model]:
    with connection.schema_editor() as editor:
        editor.create_model(model)
    return model


def reading() -> AbstractContextManager[None]:
    """Inside, rows can be dumped. On SQLite the engine's connections read text of any bytes."""
    if connection.vendor == "sqlite":
        return engine_for("default").snapshot()
    return transaction.atomic()


def dumped(model: type[models.Model], **options: Any) -> tuple[list[bytes], Dumped]:
    target = io.BytesIO()
    with reading():
        codec = RowCodec(model, {model: Identity()}, connection, **options)
        figures = dump_model(codec, target, lambda rows: None)
    return target.getvalue().splitlines(), figures
