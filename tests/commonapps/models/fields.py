"""Fields of Django that `tests.testapp` has not: those packages of old formats hold its rows."""

from typing import Any

from django.contrib.contenttypes.fields import GenericRelation
from django.db import models

from tests.commonapps.models.base import Common
from tests.commonapps.models.tags import TaggedItem


class Parcel(Common):
    """A primary key of the smallest kind, and a natural key of two columns."""

    id = models.SmallAutoField(primary_key=True)
    country = models.CharField(max_length=2)
    number = models.PositiveSmallIntegerField()
    weight = models.PositiveIntegerField(null=True)
    tracking = models.URLField(default="")
    label = models.ImageField(null=True)
    template = models.FilePathField(path="/", default="")
    contact = models.EmailField(default="")
    tags = GenericRelation(TaggedItem)

    class Meta(Common.Meta):
        unique_together = [("country", "number")]

    def __str__(self) -> str:
        return f"{self.country} {self.number}"


class Event(Common):
    """It refers by two columns, without a foreign key in the database."""

    id = models.BigAutoField(primary_key=True)
    code = models.CharField(max_length=20, unique=True)
    country = models.CharField(max_length=2)
    number = models.PositiveSmallIntegerField()
    parcel: Any = models.ForeignObject(
        Parcel,
        on_delete=models.CASCADE,
        from_fields=["country", "number"],
        to_fields=["country", "number"],
        related_name="+",
    )

    def __str__(self) -> str:
        return self.code
