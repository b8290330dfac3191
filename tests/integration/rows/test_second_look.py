"""The database's own sums tell what the dump and its proof are blind to alike."""

import datetime as dt
import unicodedata
import uuid
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, cast

import pytest
from django.db import connection, models, transaction
from django.test.utils import isolate_apps

from backup_tasks.engines import engine_for
from backup_tasks.errors import ValidationFailed
from backup_tasks.rows import codec, copy_dump, dump, query, read, second_look, value_encoding
from backup_tasks.rows.codec import RowCodec
from backup_tasks.rows.natural_keys import Identity
from backup_tasks.rows.second_look import Sums
from tests.integration.rows.tables import dumped, made
from tests.integration.rows.transfer import Transfer, run
from tests.services import Project

NFD = unicodedata.normalize("NFD", "é")


@isolate_apps("tests.testapp")
def two_models() -> "tuple[type[models.Model], type[models.Model]]":
    class Author(models.Model):
        name = models.CharField(max_length=50, unique=True)

        class Meta:
            app_label = "testapp"

        def __str__(self) -> str:
            return self.name

    class Paper(models.Model):
        number = models.IntegerField(default=0)
        title = models.CharField(max_length=50)
        author = models.ForeignKey(Author, models.CASCADE, null=True)
        made = models.DateTimeField(null=True)
        day = models.DateField(null=True)
        price = models.DecimalField(max_digits=10, decimal_places=2, null=True)
        share = models.FloatField(null=True)
        code = models.UUIDField(null=True)
        scan = models.BinaryField(null=True)
        more = models.JSONField(null=True)
        gone = models.BooleanField(default=False)

        class Meta:
            app_label = "testapp"

        def __str__(self) -> str:
            return self.title

    return Author, Paper


Tables = tuple[type[models.Model], type[models.Model]]


@pytest.fixture
def tables(empty_project: None) -> Tables:
    author, paper = two_models()
    made(author), made(paper)
    ada, bob = (author._base_manager.create(name=name) for name in ("ada", "bob"))
    for number in range(5):
        paper._base_manager.create(
            number=number,
            title=f"{NFD} {number}",
            author=(ada, bob, None)[number % 3],
            made=dt.datetime(2026, 11, 22, 22, 33, 55, 123456 + number, tzinfo=dt.UTC),
            day=dt.date(2026, 1, 1 + number),
            price=Decimal("12.34") + number,
            share=1 / (number + 3),
            code=uuid.UUID(int=number),
            scan=bytes([0, 255, number]),
            more={"a": [number]},
            gone=number == 4,
        )
    return author, paper


def look(model: type[models.Model]) -> Sums:
    with transaction.atomic():
        return second_look.take(connection, model)


def named(*columns: str) -> list[str]:
    """What the second look calls these columns; on SQLite it has no sum of each."""
    return ["some column"] if connection.vendor == "sqlite" else list(columns)


def rewrite(model: type[models.Model]) -> list[str] | None:
    """Dump the table and load it again; return what the second look finds."""
    before = str(look(model))
    identities = {one: Identity() for one in (model, *_targets(model))}
    with transaction.atomic():
        lines, figures = dumped(model)
    engine, rows = engine_for("default"), RowCodec(model, identities, connection)
    with engine.loading([rows.table], attempt=1):
        engine.write(rows.table, rows.columns, map(rows.decode, lines))
    assert dumped(model)[1] == figures, "the digests are blind to this fault"
    return second_look.unequal(before, look(model))


def _targets(model: type[models.Model]) -> "list[type[models.Model]]":
    return [field.related_model for field in model._meta.concrete_fields if field.is_relation]  # type: ignore[misc]


def test_rows_that_came_back_as_they_were_have_the_same_sums(tables: Tables) -> None:
    assert [rewrite(model) for model in tables] == [[], []]


CHANGES = {
    "title": "title = 'other' WHERE number = 0",
    "author_id": "author_id = NULL WHERE number = 0",
    "made": "made = NULL WHERE number = 1",
    "price": "price = 12.35 WHERE number = 0",
    "share": "share = 0.333333333333333 WHERE number = 0",
    "scan": "scan = NULL WHERE number = 2",
    "gone": "gone = NOT gone WHERE number = 3",
}


def test_one_changed_value_is_found_in_its_column(tables: Tables) -> None:
    _, paper = tables
    for column, change in CHANGES.items():
        before = str(look(paper))

        with connection.cursor() as cursor:
            cursor.execute(f"UPDATE {paper._meta.db_table} SET {change}")

        assert second_look.unequal(before, look(paper)) == named(column)


def test_values_that_changed_places_are_found(tables: Tables) -> None:
    _, paper = tables
    before = str(look(paper))
    manager = paper._base_manager

    first, second = manager.get(number=0), manager.get(number=1)
    manager.filter(number=0).update(code=second.code, title=second.title)  # type: ignore[attr-defined]
    manager.filter(number=1).update(code=first.code, title=first.title)  # type: ignore[attr-defined]

    assert second_look.unequal(before, look(paper)) == named("code", "title")


def test_a_row_that_is_gone_is_found(tables: Tables) -> None:
    _, paper = tables
    before = str(look(paper))

    paper._base_manager.filter(number=2).delete()

    assert "number of rows" in (second_look.unequal(before, look(paper)) or ())


@pytest.mark.parametrize("engine", ["postgres"])
def test_the_settings_of_the_session_do_not_matter_and_stay(engine: str, tables: Tables) -> None:
    _, paper = tables
    before = look(paper)

    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL extra_float_digits = -10; SET LOCAL timezone = 'Asia/Tokyo'")
        assert second_look.take(connection, paper) == before
        cursor.execute("SELECT current_setting('timezone')")
        assert cursor.fetchone() == ("Asia/Tokyo",)


def test_a_column_of_another_type_is_not_compared(tables: Tables) -> None:
    _, paper = tables
    before = str(look(paper))

    with connection.schema_editor() as editor:
        old = paper._meta.get_field("title")
        new: models.CharField[str, str] = models.CharField(max_length=99)
        new.set_attributes_from_name("title")
        editor.alter_field(paper, old, new)  # type: ignore[arg-type]

    assert second_look.unequal(before, look(paper)) is None


# The faults are planted in the code of the dump, which the proof of a restore uses too.


def _converter(patch: pytest.MonkeyPatch) -> None:
    """Microseconds are lost, as T3 has it."""

    def whole(value: dt.datetime) -> str:
        return value.replace(microsecond=0).isoformat(timespec="microseconds")

    original = query.Query._column

    def column(self: Any, sql: str, alias: str, field: Any) -> Any:
        found = original(self, sql, alias, field)
        if value_encoding.encoder(field) is not value_encoding.encode_datetime:
            return found
        reads = found.read
        return query.Column(
            sql=found.sql,
            field=found.field,
            selected=found.selected,
            other=found.other,
            read=lambda value: whole(dt.datetime.fromisoformat(cast(Any, reads)(value))),
        )

    patch.setattr(query.Query, "_column", column)


def _join(patch: pytest.MonkeyPatch) -> None:
    """A foreign key is read from the row that it refers to, which is another one."""
    original = codec.RowCodec._line_column

    def line_column(self: Any, field: Any, identities: Any) -> Any:
        found = original(self, field, identities)
        if field.is_relation:
            at = self.query.columns[found.index]
            target = self.query._table(field.related_model._meta.db_table)
            sql = f"(SELECT max(j.id) FROM {target} j WHERE j.id >= {at.sql})"
            self.query.columns[found.index] = query.Column(
                sql=at.sql, field=field, read=at.read, other=at.other, selected=sql
            )
        return found

    patch.setattr(codec.RowCodec, "_line_column", line_column)


def _filter(patch: pytest.MonkeyPatch) -> None:
    """Rows that a manager would hide are left out, and not counted either."""
    original = query.Query.sql

    def sql(self: Any) -> str:
        return f"{original(self)} WHERE NOT t.gone"

    patch.setattr(query.Query, "sql", sql)
    patch.setattr(dump, "_refuse_missing_rows", lambda *found: None)


def _encoding(patch: pytest.MonkeyPatch) -> None:
    """Text is composed on its way into the line."""
    original = codec.RowCodec.encode

    def encode(self: Any, row: Sequence[Any]) -> Any:
        composed = [
            unicodedata.normalize("NFC", each) if isinstance(each, str) else each for each in row
        ]
        return original(self, composed)

    patch.setattr(codec.RowCodec, "encode", encode)


FAULTS: dict[str, tuple[Callable[[pytest.MonkeyPatch], None], str]] = {
    "converter": (_converter, "made"),
    "join": (_join, "author_id"),
    "filter": (_filter, "number of rows"),
    "encoding": (_encoding, "title"),
}


@pytest.fixture
def row_by_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL's rows are read as the others' are."""
    monkeypatch.setattr(read, "copy_lines", lambda codec: None)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_the_code_of_the_dump_is_found(
    tables: Tables, row_by_row: None, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """The digests, which that code makes, are equal."""
    plant, where = FAULTS[fault]
    plant(monkeypatch)

    found = rewrite(tables[1])

    assert found is not None
    if fault == "filter":
        assert "number of rows" in found
    else:
        assert found == named(where)


COPY_FAULTS = {
    "converter": ('t."made"', "date_trunc('second', t.\"made\")", ["made"]),
    "join": ('t."author_id"', 'CASE WHEN t."author_id" IS NOT NULL THEN 2 END', ["author_id"]),
    "filter": (") TO STDOUT", " WHERE NOT t.gone) TO STDOUT", None),
    "encoding": ('t."title"', 'normalize(t."title", NFC)', ["title"]),
}


@pytest.mark.parametrize("engine", ["postgres"])
@pytest.mark.parametrize("fault", COPY_FAULTS)
def test_a_fault_in_the_sql_of_copy_is_found(
    engine: str, tables: Tables, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    original = copy_dump._copy_statement
    right, wrong, columns = COPY_FAULTS[fault]

    def planted(*given: Any) -> str:
        statement = original(*given)
        assert right in statement
        return statement.replace(right, wrong)

    monkeypatch.setattr(copy_dump, "_copy_statement", planted)
    monkeypatch.setattr(dump, "_refuse_missing_rows", lambda *found: None)

    found = rewrite(tables[1])

    assert found
    assert columns is None or found == columns


def test_a_drill_whose_sums_differ_fails_and_names_table_and_columns(
    on_demo_project: Project, row_by_row: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = codec.RowCodec.encode

    def encode(self: Any, row: Sequence[Any]) -> Any:
        return original(
            self, [each.replace("SOP", "S0P") if type(each) is str else each for each in row]
        )

    monkeypatch.setattr(codec.RowCodec, "encode", encode)
    run("backup")

    with pytest.raises(ValidationFailed) as raised:
        run("drill")

    problems = raised.value.what
    table = "documents_document"
    assert f"the database's own sums over table {table} are not those of the backup: " in problems
    assert ("some column" if connection.vendor == "sqlite" else "document_number") in problems
    assert "expected" not in problems  # what the dump's own code counts and hashes is equal


def test_the_sums_of_every_awkward_table_are_those_of_its_backup(transfer: Transfer) -> None:
    look = transfer.report["second_look"]
    assert set(transfer.manifest.sums) == {
        entry.label for entry in transfer.manifest.models if entry.count
    }
    if transfer.source == transfer.target:
        assert look == {"equal": len(transfer.manifest.sums), "not_compared": []}
    else:
        assert look["equal"] == 0
