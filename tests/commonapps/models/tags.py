"""A tagging app, and what is tagged."""

import uuid

from django.contrib.contenttypes.fields import GenericForeignKey
from django.contrib.contenttypes.models import ContentType
from django.db import models

from tests.commonapps.models.base import Common


class Article(Common):
    """Something that can be tagged."""

    slug = models.SlugField(unique=True)

    def __str__(self) -> str:
        return self.slug


class Stock(Common):
    """Something that has a UUID for a primary key, and a natural key."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    code = models.CharField(max_length=20, unique=True)

    def __str__(self) -> str:
        return self.code


class Tag(Common):
    """A tag: its name and its slug are unique."""

    name = models.CharField(max_length=50, unique=True)
    slug = models.SlugField(unique=True)

    def __str__(self) -> str:
        return self.name


class TaggedItem(Common):
    """A row has a tag once: the natural key holds the id of a generic key."""

    tag = models.ForeignKey(Tag, on_delete=models.CASCADE, related_name="+")
    content_type = models.ForeignKey(ContentType, on_delete=models.CASCADE, related_name="+")
    object_id = models.IntegerField()
    content_object = GenericForeignKey()

    class Meta(Common.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["content_type", "object_id", "tag"], name="commonapps_tagged_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.content_object}: {self.tag}"


class Mark(Common):
    """A generic key, and unique columns with it and without it. Its ids are UUIDs."""

    code = models.CharField(max_length=20, unique=True)
    content_type = models.ForeignKey(ContentType, on_delete=models.CASCADE, related_name="+")
    object_id = models.UUIDField()
    content_object = GenericForeignKey()
    place = models.IntegerField()

    class Meta(Common.Meta):
        unique_together = [("content_type", "object_id", "place")]

    def __str__(self) -> str:
        return self.code
