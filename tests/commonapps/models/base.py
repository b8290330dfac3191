"""What makes the models belong to the app, which is not always installed."""

from typing import Any, ClassVar

from django.db import models


class Common(models.Model):
    """A model of the app."""

    objects: ClassVar[models.Manager[Any]]

    class Meta:
        abstract = True
        app_label = "commonapps"
