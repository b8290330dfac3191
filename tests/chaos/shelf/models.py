"""Every row and file says which generation it is of: two in one look are a mixed state."""

from typing import ClassVar

from django.db import models


class Author(models.Model):
    name = models.CharField(max_length=40, unique=True)
    gen = models.CharField(max_length=8)
    objects: ClassVar[models.Manager["Author"]] = models.Manager()

    class Meta:
        app_label = "shelf"

    def __str__(self) -> str:
        return self.name


class Tag(models.Model):
    name = models.CharField(max_length=40, unique=True)
    gen = models.CharField(max_length=8)
    objects: ClassVar[models.Manager["Tag"]] = models.Manager()

    class Meta:
        app_label = "shelf"

    def __str__(self) -> str:
        return self.name


class Document(models.Model):
    number = models.CharField(max_length=40, unique=True)
    author = models.ForeignKey(Author, on_delete=models.PROTECT)
    supersedes = models.ForeignKey("self", on_delete=models.PROTECT, null=True)
    tags = models.ManyToManyField(Tag)
    gen = models.CharField(max_length=8)
    file = models.FileField(blank=True)
    objects: ClassVar[models.Manager["Document"]] = models.Manager()

    class Meta:
        app_label = "shelf"

    def __str__(self) -> str:
        return self.number
