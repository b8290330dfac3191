"""Primary keys and natural keys of every kind."""

import uuid
from typing import Any

from django.db import models

from tests.testapp.models.base import Keyed, Unkeyed


class UuidKey(Unkeyed):
    """A UUID for a primary key, and no natural key."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    name = models.CharField(max_length=50)
    next = models.ForeignKey("self", on_delete=models.CASCADE, null=True, related_name="+")


class CharKey(Keyed):
    """A code for a primary key, which is the natural key as well."""

    natural_key_fields = ("code",)

    code = models.CharField(primary_key=True, max_length=20)
    name = models.CharField(max_length=50)


class OneToOneKey(Keyed):
    """Another row's key for a primary key."""

    natural_key_fields = ("owner",)

    owner = models.OneToOneField(CharKey, on_delete=models.CASCADE, primary_key=True)
    note = models.CharField(max_length=50)


class Compound(Unkeyed):
    """A primary key of two columns."""

    pk = models.CompositePrimaryKey("tenant", "number")
    tenant = models.IntegerField()
    number = models.IntegerField()
    title = models.CharField(max_length=50)
    owner = models.ForeignKey(CharKey, on_delete=models.CASCADE, null=True, related_name="+")


class ToField(Unkeyed):
    """A foreign key to something else than the primary key."""

    shelf = models.ForeignKey("Shelf", on_delete=models.CASCADE, to_field="label", related_name="+")


class Shelf(Keyed):
    """Found by its label and the code of its owner."""

    natural_key_fields = ("owner", "label")

    owner = models.ForeignKey(CharKey, on_delete=models.CASCADE, related_name="+")
    label = models.CharField(max_length=20, unique=True)


class Slotted(Keyed):
    """A natural key through two foreign keys."""

    natural_key_fields = ("shelf", "position")

    shelf = models.ForeignKey(Shelf, on_delete=models.CASCADE, related_name="+")
    position = models.IntegerField()

    class Meta(Keyed.Meta):
        constraints = [
            models.UniqueConstraint(fields=["shelf", "position"], name="testapp_slot_once")
        ]


class UniqueOnly(Unkeyed):
    """No natural key, but a column that is unique."""

    email = models.EmailField(unique=True)


class ByName(models.Manager[Any]):
    def get_by_natural_key(self, name: str) -> Any:
        return self.get(name=name)


class Ambiguous(Unkeyed):
    """Its natural key does not tell its rows apart (T20)."""

    name = models.CharField(max_length=50)
    objects = ByName()

    def natural_key(self) -> tuple[str]:
        return (self.name,)


class OfAmbiguous(Unkeyed):
    """Refers to rows that can't be told apart by name."""

    target = models.ForeignKey(Ambiguous, on_delete=models.CASCADE, related_name="+")


class Computed(Unkeyed):
    """Its natural key is made of its fields, but is none of them (T20)."""

    first = models.CharField(max_length=20)
    second = models.CharField(max_length=20)
    objects = ByName()

    def natural_key(self) -> tuple[str]:
        return (f"{self.first}/{self.second}",)


class Raising(Unkeyed):
    """Its natural key does not work at all (T20)."""

    name = models.CharField(max_length=50)
    objects = ByName()

    def natural_key(self) -> tuple[str]:
        raise RuntimeError("not today")


class Querying(Unkeyed):
    """Its natural key asks the database, once per row (T20)."""

    name = models.CharField(max_length=50)
    code = models.CharField(max_length=20)
    objects = ByName()

    def natural_key(self) -> tuple[str, int]:
        return (self.name, CharKey.objects.filter(code=self.code).count())


def next_number() -> int:
    """Take a number, for good."""
    CharKey.objects.create(code=uuid.uuid4().hex[:20], name="taken")
    return int(CharKey.objects.count())


class Counting(Unkeyed):
    """Making an instance of it writes to the database."""

    number = models.IntegerField(default=next_number)
    name = models.CharField(max_length=50, unique=True)
    objects = ByName()

    def natural_key(self) -> tuple[str]:
        return (self.name,)
