"""`manage.py rebuild_search`: what search looks through, made anew from documents and files."""

from typing import Any

from django.core.management.base import BaseCommand

from edms.documents.indexing import index
from edms.documents.models import Document


class Command(BaseCommand):
    """Writes the words of each document anew; can be stopped and run again at any time."""

    help = "Make what full text search looks through anew, from all documents and their files."

    def handle(self, *args: Any, **options: Any) -> None:
        """Go through all documents, one after the other."""
        done = 0
        for document in Document.objects.order_by("pk").iterator(chunk_size=500):
            index(document)
            done += 1
        self.stdout.write(f"{done} documents are searched.")
