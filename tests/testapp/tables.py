"""The tables of the awkward models: made without migrations."""

from django.apps import apps
from django.db import connection

from tests.testapp.models import Absent, Foreign


def make_tables() -> None:
    """Make the tables that the models have, and the one that is another program's."""
    models = [
        model
        for model in apps.get_app_config("testapp").get_models(include_swapped=False)
        if model._meta.managed and not model._meta.proxy and model is not Absent
    ]
    with connection.schema_editor() as editor:
        for model in models:
            editor.create_model(model)
    with connection.cursor() as cursor:
        cursor.execute(
            f"CREATE TABLE {Foreign._meta.db_table} (id integer PRIMARY KEY, name text NOT NULL)"
        )
