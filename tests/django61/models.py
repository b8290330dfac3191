"""Foreign keys that the database follows when a row is deleted, and fields that Django 5.2 lacks.

Each model needs Django 6.1, which mypy's stubs do not know yet.
"""

from typing import Any

from django.db import models
from django.db.models.functions import UUID7  # type: ignore[attr-defined]


class Author(models.Model):
    """What the others hang on."""

    name = models.CharField(max_length=50, unique=True)
    born = models.IntegerField(default=1815)

    def __str__(self) -> str:
        return self.name


class Book(models.Model):
    """Goes with its author; forgets its editor."""

    title = models.CharField(max_length=50, unique=True)
    author = models.ForeignKey(Author, on_delete=models.DB_CASCADE)  # type: ignore[attr-defined]
    editor = models.ForeignKey(
        Author,
        on_delete=models.DB_SET_NULL,  # type: ignore[attr-defined]
        null=True,
        related_name="+",
    )
    sequel_of = models.ForeignKey(
        "self",
        on_delete=models.DB_CASCADE,  # type: ignore[attr-defined]
        null=True,
    )

    def __str__(self) -> str:
        return self.title


class Chapter(models.Model):
    """Goes with its book, whose key is half of its own."""

    pk = models.CompositePrimaryKey("book_id", "number")
    book = models.ForeignKey(Book, on_delete=models.DB_CASCADE)  # type: ignore[attr-defined]
    number = models.IntegerField()
    heading = models.CharField(max_length=50)

    def __str__(self) -> str:
        return self.heading


class Loan(models.Model):
    """Falls back to the first author."""

    name = models.CharField(max_length=50, unique=True)
    of = models.ForeignKey(
        Author,
        on_delete=models.DB_SET_DEFAULT,  # type: ignore[attr-defined]
        db_default=1,
        related_name="+",
    )

    class Meta:
        required_db_features = ["supports_on_delete_db_default"]

    def __str__(self) -> str:
        return self.name


class Virtual(models.Model):
    """A column that is computed whenever it is read."""

    number = models.IntegerField(unique=True)
    doubled = models.GeneratedField(
        expression=models.F("number") * 2, output_field=models.IntegerField(), db_persist=False
    )

    class Meta:
        required_db_features = ["supports_virtual_generated_columns"]

    def __str__(self) -> str:
        return str(self.number)


class Amount(models.Model):
    """A decimal of any size and scale."""

    exact: Any = models.DecimalField(null=True)

    class Meta:
        required_db_features = ["supports_no_precision_decimalfield"]

    def __str__(self) -> str:
        return str(self.exact)


class Token(models.Model):
    """Gets its value from the database."""

    name = models.CharField(max_length=50, unique=True)
    token = models.UUIDField(db_default=UUID7())

    class Meta:
        required_db_features = ["supports_uuid7_function"]

    def __str__(self) -> str:
        return self.name


class Note(models.Model):
    """JSON's null is not SQL's."""

    name = models.CharField(max_length=50, unique=True)
    data = models.JSONField(null=True)

    def __str__(self) -> str:
        return self.name


class ByName(models.Manager[Any]):
    def get_by_natural_key(self, name: str) -> Any:
        return self.get(name=name)


class Opted(models.Model):
    """Has a natural key in its parents' eyes, and opts out of it."""

    name = models.CharField(max_length=50)
    objects = ByName()

    def __str__(self) -> str:
        return self.name

    def natural_key(self) -> tuple[()]:
        return ()
