"""What Django's own `dumpdata` wrote, loaded by Django's `loaddata` and by this project."""

import json
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.db import connections
from pytest_django import DjangoDbBlocker

from backup_tasks.conf import backup_settings
from backup_tasks.engines import engine_for
from backup_tasks.rows.codec import RowCodec
from backup_tasks.rows.dump import dump_model
from backup_tasks.rows.identities import settled_identities
from backup_tasks.rows.natural_keys import Model
from backup_tasks.rows.scope import full_scope, label
from tests.services import ENGINES, MakeProject, Project, as_default_database

CONTROL = ("backup_tasks", "django_celery_results", "sessions")


def codecs() -> list[RowCodec]:
    """How the rows of every model in scope are read and written."""
    found = backup_settings()
    models = full_scope(found).included
    identities, _ = settled_identities(connections["default"], models, found.natural_keys)
    return [RowCodec(model, identities, connections["default"]) for model in models]


def contents(project: Project) -> dict[str, object]:
    """Rows and digest of every model; of many-to-many tables, whose rows have primary keys by
    chance, the pairs."""
    found: dict[str, object] = {}
    with as_default_database(project), engine_for("default").snapshot():
        for codec in codecs():
            if codec.model._meta.auto_created:
                ends = [name for name in codec.columns if name != "id"]
                found[codec.label] = sorted(codec.model._base_manager.values_list(*ends))
            else:
                read = dump_model(codec, None, lambda rows: None)
                found[codec.label] = (read.count, read.digest)
    return found


def many_to_many(model: Model, row: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rows of plain many-to-many tables: `dumpdata` writes them as lists of the owner."""
    for field in model._meta.local_many_to_many:
        through: Any = field.remote_field.through
        if through._meta.auto_created:
            ends = (field.m2m_field_name(), field.m2m_reverse_field_name())
            for other in row["fields"].get(field.name, ()):
                yield label(through), dict(zip(ends, (row["pk"], other), strict=True))


@pytest.mark.parametrize("engine", ENGINES)
def test_what_dumpdata_wrote_gives_the_same_digests_whoever_loads_it(
    engine: str, make_project: MakeProject, django_db_blocker: DjangoDbBlocker
) -> None:
    source = make_project(engine, demo=True)
    left_out = [part for app in CONTROL for part in ("--exclude", app)]
    fixture = source.folder / "all.jsonl"
    source.succeed("dumpdata", "--all", "--format", "jsonl", "--output", fixture, *left_out)
    by_django, by_us = make_project(engine), make_project(engine)
    by_django.succeed("loaddata", fixture)

    rows: dict[str, list[bytes]] = defaultdict(list)
    for text in fixture.read_text().splitlines():
        row = json.loads(text)
        rows[row["model"]].append(text.encode())
        for through, fields in many_to_many(apps.get_model(row["model"]), row):
            line = {"model": through, "pk": len(rows[through]) + 1, "fields": fields}
            rows[through].append(json.dumps(line).encode())
    with django_db_blocker.unblock():
        with as_default_database(by_us):
            loaded, loader = codecs(), engine_for("default")
            with loader.loading([codec.table for codec in loaded], attempt=1):
                for codec in loaded:
                    lines = rows.pop(codec.label, [])
                    loader.write(codec.table, codec.columns, map(codec.decode, lines))

        assert not rows
        found = contents(by_us)
        assert found == contents(by_django)
    assert all(found[name] for name in ("documents.document_tags", "users.user_user_permissions"))
