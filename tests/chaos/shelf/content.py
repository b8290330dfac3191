"""Fills the shelf: two generations that differ in number, rows, keys and files."""

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from tests.chaos.shelf.models import Author, Document, Tag

DOCUMENTS = {"a": 12, "b": 20}
FILES = {
    "a": {"same.txt": "same", "other.txt": "other a", "only-a.txt": "only a", "d/a.txt": "deep a"},
    "b": {"same.txt": "same", "other.txt": "other b", "only-b.txt": "only b", "e/b.txt": "deep b"},
}
"""By generation: one file stays, one changes, two go and two come."""


def fill(gen: str) -> None:
    """Empty the shelf, and put a generation on it."""
    Document.objects.update(supersedes=None)
    for model in (Document, Tag, Author):
        model.objects.all().delete()
    for name in {name for files in FILES.values() for name in files}:
        default_storage.delete(name)
    for name, text in FILES[gen].items():
        default_storage.save(name, ContentFile(text.encode()))
    authors = [Author.objects.create(name=f"author {n}", gen=gen) for n in range(4)]
    tags = [Tag.objects.create(name=f"tag {n}", gen=gen) for n in range(3)]
    names = sorted(FILES[gen])
    last = None
    for n in range(DOCUMENTS[gen]):
        last = Document.objects.create(
            number=f"D-{n}",
            author=authors[n % 4],
            supersedes=last,
            gen=gen,
            file=names[n % len(names)],
        )
        last.tags.set(tags[: n % 4])


def seed(alias: str) -> None:
    """The system's defaults, after a reset."""
    Author.objects.using(alias).create(name="admin", gen="seed")
