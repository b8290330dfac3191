"""Trees and lists. The base classes have the names, the columns and the options of those of
django-mptt and django-treebeard, and none of their code."""

from types import SimpleNamespace

from django.db import models

from tests.commonapps.models.base import Common


class MPTTModel(Common):
    """The base class of django-mptt."""

    __module__ = "mptt.models"
    _mptt_meta = SimpleNamespace(
        left_attr="lft", right_attr="rght", tree_id_attr="tree_id", level_attr="level"
    )

    lft = models.PositiveIntegerField()
    rght = models.PositiveIntegerField()
    tree_id = models.PositiveIntegerField()
    level = models.PositiveIntegerField()

    class Meta(Common.Meta):
        abstract = True


class MP_Node(Common):
    """The base class of django-treebeard for trees with materialized paths."""

    __module__ = "treebeard.mp_tree"

    path = models.CharField(max_length=255, unique=True)
    depth = models.PositiveIntegerField()
    numchild = models.PositiveIntegerField(default=0)

    class Meta(Common.Meta):
        abstract = True


class Category(MPTTModel):
    """A nested set."""

    name = models.CharField(max_length=50, unique=True)
    parent = models.ForeignKey("self", on_delete=models.CASCADE, null=True, related_name="+")

    def __str__(self) -> str:
        return self.name


class Page(MP_Node):
    """A page of a site: only its path is unique."""

    title = models.CharField(max_length=50)

    def __str__(self) -> str:
        return self.title


class Link(Common):
    """It refers to a page, which has no natural key."""

    name = models.CharField(max_length=50, unique=True)
    page = models.ForeignKey(Page, on_delete=models.CASCADE, related_name="+")

    def __str__(self) -> str:
        return self.name


class Book(Common):
    """A list of chapters."""

    title = models.CharField(max_length=50, unique=True)
    blurb = models.TextField(default="")

    def __str__(self) -> str:
        return self.title


class Chapter(Common):
    """It has its place in a book."""

    book = models.ForeignKey(Book, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=50, unique=True)

    class Meta(Common.Meta):
        order_with_respect_to = "book"

    def __str__(self) -> str:
        return self.name


class Song(Common):
    """A place in a list, of which only a setting knows."""

    album = models.ForeignKey(Book, on_delete=models.CASCADE, related_name="+")
    track = models.IntegerField()
    name = models.CharField(max_length=50, unique=True)

    def __str__(self) -> str:
        return self.name
