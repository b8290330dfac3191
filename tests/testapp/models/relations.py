"""References of every kind."""

from typing import Any

from django.contrib.contenttypes.fields import GenericForeignKey
from django.contrib.contenttypes.models import ContentType
from django.db import models

from tests.testapp.models.base import Keyed, Unkeyed


class Node(Keyed):
    """A tree in itself."""

    natural_key_fields = ("name",)

    name = models.CharField(max_length=50, unique=True)
    parent = models.ForeignKey("self", on_delete=models.CASCADE, null=True, related_name="+")
    friends: Any = models.ManyToManyField("self")
    follows: Any = models.ManyToManyField("self", symmetrical=False, related_name="+")


class Headquarters(Keyed):
    """Refers to a branch that refers to it: a cycle (T6)."""

    natural_key_fields = ("city",)

    city = models.CharField(max_length=50, unique=True)
    best = models.ForeignKey("Branch", on_delete=models.CASCADE, null=True, related_name="+")


class Branch(Keyed):
    """Refers to its headquarters, and can't do without."""

    natural_key_fields = ("city",)

    city = models.CharField(max_length=50, unique=True)
    head = models.ForeignKey(Headquarters, on_delete=models.CASCADE, related_name="+")


class Boss(Keyed):
    """One's own boss, or another's, but never nobody's: a cycle without NULL."""

    natural_key_fields = ("name",)

    name = models.CharField(max_length=50, unique=True)
    above = models.ForeignKey("self", on_delete=models.CASCADE, related_name="+")


class Friend(Keyed):
    """A member of teams."""

    natural_key_fields = ("name",)

    name = models.CharField(max_length=50, unique=True)


class Team(Keyed):
    """Many to many, plain and with a model of one's own in between."""

    natural_key_fields = ("name",)

    name = models.CharField(max_length=50, unique=True)
    fans: Any = models.ManyToManyField(Friend, related_name="+")
    members: Any = models.ManyToManyField(Friend, through="Membership", related_name="+")


class Membership(Unkeyed):
    """In between, with something to say."""

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="+")
    friend = models.ForeignKey(Friend, on_delete=models.CASCADE, related_name="+")
    since = models.DateTimeField()


class Note(Unkeyed):
    """A generic foreign key (T1)."""

    content_type = models.ForeignKey(ContentType, on_delete=models.CASCADE, related_name="+")
    object_id = models.CharField(max_length=60)
    about = GenericForeignKey("content_type", "object_id")


class Pointer(Unkeyed):
    """A generic foreign key that is a number and may be missing; and keys inside JSON (T15)."""

    kind = models.ForeignKey(ContentType, on_delete=models.CASCADE, null=True, related_name="+")
    number = models.PositiveBigIntegerField(null=True)
    to = GenericForeignKey("kind", "number")
    data = models.JSONField(default=dict)


class Loose(Unkeyed):
    """A foreign key that the database does not enforce (T12)."""

    node = models.ForeignKey(
        Node, on_delete=models.DO_NOTHING, db_constraint=False, null=True, related_name="+"
    )
    uuid = models.ForeignKey(
        "UuidKey", on_delete=models.DO_NOTHING, db_constraint=False, null=True, related_name="+"
    )


class House(Keyed):
    """A parent's table."""

    natural_key_fields = ("address",)

    address = models.CharField(max_length=50, unique=True)


class Inn(House):
    """A child's table, which has no key of its own."""

    beds = models.IntegerField()


class Grill(Inn):
    """A grandchild's."""

    stars = models.IntegerField()
    twin = models.ForeignKey("self", on_delete=models.CASCADE, null=True, related_name="+")


class InnProxy(Inn):
    """The same rows under another name."""

    class Meta:
        app_label = "testapp"
        proxy = True


class OfProxy(Unkeyed):
    """Refers to a proxy."""

    inn = models.ForeignKey(InnProxy, on_delete=models.CASCADE, related_name="+")


class Switched(Unkeyed):
    """Swapped for another model: it has no table."""

    class Meta(Unkeyed.Meta):
        swappable = "TESTAPP_SWITCHED_MODEL"


class SwitchedIn(Unkeyed):
    """The model that stands in for it."""

    name = models.CharField(max_length=50)


class Foreign(Unkeyed):
    """Not managed: another program's table (T14)."""

    name = models.CharField(max_length=50)

    class Meta(Unkeyed.Meta):
        managed = False
        db_table = "another_programs_table"


class Absent(Unkeyed):
    """Managed, and yet nobody made its table (T14)."""

    name = models.CharField(max_length=50)
