"""What full text search looks through: one row per document, made from the document."""

from django.db import models

from backup_tasks.rows.natural_keys import NaturalKeyModel
from edms.documents.models.document import Document


class SearchText(NaturalKeyModel):
    """The words that find a document; `edms.documents.indexing` keeps them as the document is.

    PostgreSQL and SQLite have an index over these columns, which a migration made and the database
    itself keeps. A change of this model on SQLite makes the table anew: its migration has to make
    the triggers of the index anew too.
    """

    natural_key_fields = ("document",)

    document = models.OneToOneField(
        Document, on_delete=models.CASCADE, primary_key=True, related_name="search_text"
    )
    number = models.TextField()
    title = models.TextField()
    keywords = models.TextField(blank=True, help_text="Tags and description.")
    body = models.TextField(blank=True, help_text="The beginning of a text file.")

    class Meta:
        ordering = ["document"]

    def __str__(self) -> str:
        return f"{self.number} {self.title}"
