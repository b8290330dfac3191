"""Columns of every kind."""

from typing import Any

from django.db import models
from django.db.models.functions import Upper

from tests.testapp.models.base import Keyed, Unkeyed


class Everything(Unkeyed):
    """One column of each kind that Django has, each of which may be NULL."""

    char = models.CharField(max_length=200, null=True)  # noqa: DJ001  # NULL and empty differ
    text = models.TextField(null=True)  # noqa: DJ001  # the same
    slug = models.SlugField(null=True)  # noqa: DJ001  # the same
    boolean = models.BooleanField(null=True)
    small = models.SmallIntegerField(null=True)
    integer = models.IntegerField(null=True)
    big = models.BigIntegerField(null=True)
    positive = models.PositiveBigIntegerField(null=True)
    number = models.FloatField(null=True)
    decimal = models.DecimalField(max_digits=12, decimal_places=4, null=True)
    date = models.DateField(null=True)
    time = models.TimeField(null=True)
    moment = models.DateTimeField(null=True)
    duration = models.DurationField(null=True)
    uuid = models.UUIDField(null=True)
    binary = models.BinaryField(null=True)
    data = models.JSONField(null=True)
    address = models.GenericIPAddressField(null=True)
    file = models.FileField(null=True)


class Plain(Keyed):
    """What Django's own serializer and ours must agree on."""

    natural_key_fields = ("name",)

    name = models.CharField(max_length=50, unique=True)
    above = models.ForeignKey("self", on_delete=models.CASCADE, null=True)
    number = models.IntegerField(default=0)
    price = models.DecimalField(max_digits=8, decimal_places=2, default=0)
    day = models.DateField(null=True)
    token = models.UUIDField(null=True)
    data = models.JSONField(default=dict)
    raw = models.BinaryField(default=b"")
    done = models.BooleanField(default=False)


class Stamped(Keyed):
    """Its times write themselves whenever a row is saved (T4)."""

    natural_key_fields = ("name",)

    name = models.CharField(max_length=50, unique=True)
    created = models.DateTimeField(auto_now_add=True)
    updated = models.DateTimeField(auto_now=True)
    day = models.DateField(auto_now=True)


class Computation(Unkeyed):
    """A column that the database computes."""

    word = models.CharField(max_length=50)
    loud = models.GeneratedField(
        expression=Upper("word"), output_field=models.CharField(max_length=50), db_persist=True
    )


class DottedField(models.CharField):  # type: ignore[type-arg]  # generic for mypy only
    """A field of somebody's own: a list of words in Python, one text in the database."""

    def from_db_value(self, value: str | None, *_: object) -> list[str] | None:
        return None if value is None else value.split(".")

    def to_python(self, value: Any) -> Any:
        return value.split(".") if isinstance(value, str) else value

    def get_prep_value(self, value: Any) -> Any:
        return ".".join(value) if isinstance(value, list) else value

    def value_to_string(self, obj: models.Model) -> str:
        return ".".join(self.value_from_object(obj))


class Dotted(Unkeyed):
    """A row with a field of somebody's own."""

    words = DottedField(max_length=100, null=True)


class OddNames(Keyed):
    """Names that need quotes, in the table and in its columns."""

    natural_key_fields = ("order",)

    order = models.CharField(max_length=20, unique=True, db_column="Order By")
    select = models.IntegerField(default=0, db_column="select")
    quoted = models.CharField(max_length=20, default="", db_column="it''s; ünïcode")
    other = models.ForeignKey(
        "self", on_delete=models.CASCADE, null=True, db_column="Other Id", related_name="+"
    )

    class Meta(Keyed.Meta):
        db_table = "Odd table; ünïcode"
