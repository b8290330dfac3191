"""Makes the table that search looks through, fills it, and makes the database's own index of it.

The text of files is not read here: `manage.py rebuild_search` adds it for documents that were there
before.
"""

import django.db.models.deletion
from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

POSTGRESQL = """
    CREATE INDEX documents_search ON documents_searchtext USING gin (
        (setweight(to_tsvector('simple'::regconfig, translate(number || ' '::text || title,
            '-_/.:<>&@+~=?#'::text, '              '::text)), 'A')
        || setweight(to_tsvector('simple'::regconfig, translate(keywords,
            '-_/.:<>&@+~=?#'::text, '              '::text)), 'B')
        || setweight(to_tsvector('simple'::regconfig, translate(body,
            '-_/.:<>&@+~=?#'::text, '              '::text)), 'D')))
"""

SQLITE = (
    """
    CREATE VIRTUAL TABLE documents_search USING fts5(
        number, title, keywords, body,
        content='documents_searchtext', content_rowid='document_id',
        tokenize='unicode61 remove_diacritics 0', prefix='2 3')
    """,
    """
    CREATE TRIGGER documents_search_in AFTER INSERT ON documents_searchtext BEGIN
        INSERT INTO documents_search(rowid, number, title, keywords, body)
        VALUES (new.document_id, new.number, new.title, new.keywords, new.body);
    END
    """,
    """
    CREATE TRIGGER documents_search_out AFTER DELETE ON documents_searchtext BEGIN
        INSERT INTO documents_search(documents_search, rowid, number, title, keywords, body)
        VALUES ('delete', old.document_id, old.number, old.title, old.keywords, old.body);
    END
    """,
    """
    CREATE TRIGGER documents_search_new AFTER UPDATE ON documents_searchtext BEGIN
        INSERT INTO documents_search(documents_search, rowid, number, title, keywords, body)
        VALUES ('delete', old.document_id, old.number, old.title, old.keywords, old.body);
        INSERT INTO documents_search(rowid, number, title, keywords, body)
        VALUES (new.document_id, new.number, new.title, new.keywords, new.body);
    END
    """,
    "INSERT INTO documents_search(documents_search) VALUES ('rebuild')",
)

SQLITE_UNDONE = (
    "DROP TRIGGER documents_search_in",
    "DROP TRIGGER documents_search_out",
    "DROP TRIGGER documents_search_new",
    "DROP TABLE documents_search",
)


def fill(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Write the words of the documents that are there."""
    using = schema_editor.connection.alias
    texts = apps.get_model("documents", "SearchText")._base_manager.using(using)
    documents = apps.get_model("documents", "Document")._base_manager.using(using)
    rows = (
        texts.model(
            document_id=document.pk,
            number=document.document_number,
            title=document.title,
            keywords=" ".join(
                [*document.tags.values_list("name", flat=True), document.description]
            ).strip(),
        )
        for document in documents.order_by("pk").iterator(chunk_size=1000)
    )
    texts.bulk_create(rows, batch_size=1000)


def index(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Make the index of the database that this is; MariaDB has none."""
    vendor = schema_editor.connection.vendor
    for statement in {"postgresql": (POSTGRESQL,), "sqlite": SQLITE}.get(vendor, ()):
        schema_editor.execute(statement)


def drop_index(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Take it away again."""
    vendor = schema_editor.connection.vendor
    postgresql = ("DROP INDEX documents_search",)
    for statement in {"postgresql": postgresql, "sqlite": SQLITE_UNDONE}.get(vendor, ()):
        schema_editor.execute(statement)


class Migration(migrations.Migration):
    dependencies = [
        ("documents", "0002_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="SearchText",
            fields=[
                (
                    "document",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="search_text",
                        serialize=False,
                        to="documents.document",
                    ),
                ),
                ("number", models.TextField()),
                ("title", models.TextField()),
                ("keywords", models.TextField(blank=True, help_text="Tags and description.")),
                ("body", models.TextField(blank=True, help_text="The beginning of a text file.")),
            ],
            options={
                "ordering": ["document"],
            },
        ),
        migrations.RunPython(fill, migrations.RunPython.noop, elidable=False),
        migrations.RunPython(index, drop_index, elidable=False),
    ]
