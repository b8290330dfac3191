"""A model whose table is a full-text table of SQLite."""

import pytest
from django.db import connection, models, transaction
from django.test.utils import isolate_apps

from backup_tasks.rows import second_look
from backup_tasks.rows.second_look import Sums


def look(model: type[models.Model]) -> Sums:
    with transaction.atomic():
        return second_look.take(connection, model)


@isolate_apps("tests.testapp")
def notes() -> type[models.Model]:
    class Note(models.Model):
        rowid = models.BigIntegerField(primary_key=True)
        text = models.TextField()

        class Meta:
            app_label = "testapp"

        def __str__(self) -> str:
            return self.text

    return Note


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_full_text_table_does_not_describe_its_key(empty_project: None) -> None:
    note = notes()
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE VIRTUAL TABLE {note._meta.db_table} USING fts5(text)")
    first = note._base_manager.create(rowid=7, text="minutes")
    before = look(note)
    assert before.count == 1

    note._base_manager.filter(pk=first.pk).update(text="hours")
    assert second_look.unequal(str(before), look(note)) == ["some column"]
