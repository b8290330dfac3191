"""Tables of history and audit: ids in plain columns and in JSON."""

from typing import Any, ClassVar

from django.contrib.contenttypes.models import ContentType
from django.db import models

from tests.commonapps.models.base import Common
from tests.commonapps.models.tags import Article


class HistoricalChanges:
    """The base class of the tables of django-simple-history."""

    __module__ = "simple_history.models"
    instance_type: ClassVar[Any]


class HistoricalArticle(HistoricalChanges, Common):
    """What django-simple-history makes for `Article`."""

    instance_type = Article

    history_id = models.AutoField(primary_key=True)
    id = models.IntegerField(db_index=True)
    slug = models.SlugField()

    def __str__(self) -> str:
        return self.slug


class AuditTrail(Common):
    """It holds ids of articles in every way but a foreign key."""

    code = models.CharField(max_length=20, unique=True)
    content_type = models.ForeignKey(ContentType, on_delete=models.CASCADE, related_name="+")
    object_pk = models.CharField(max_length=50)
    article_id = models.BigIntegerField(null=True)
    changes = models.JSONField(default=dict)

    def __str__(self) -> str:
        return self.code
