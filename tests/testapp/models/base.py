"""What makes the models belong to the app, which is not always installed."""

from django.db import models

from backup_tasks.rows.natural_keys import NaturalKeyModel


class Unkeyed(models.Model):
    """A model of a project that has never heard of natural keys."""

    class Meta:
        abstract = True
        app_label = "testapp"


class Keyed(NaturalKeyModel):
    """A model with `natural_key_fields`."""

    class Meta:
        abstract = True
        app_label = "testapp"
