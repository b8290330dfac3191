"""Keeps the words that a document is found by as the document is.

Rows that are loaded as they were (`raw`) come with their words.
"""

from typing import Any, Final

from django.db.models.signals import m2m_changed, post_delete, post_save, pre_delete

from edms.documents.models import Document, DocumentVersion, ExternalDocument, SearchText, Tag

LARGEST_TEXT: Final = 100_000
"""Bytes of a file that are searched: its beginning."""


def connect() -> None:
    """Start following documents, their versions and tags."""
    for sender in (Document, ExternalDocument):
        post_save.connect(_document_saved, sender=sender, dispatch_uid=f"search.{sender.__name__}")
    post_save.connect(_version_saved, sender=DocumentVersion, dispatch_uid="search.version")
    post_save.connect(_tag_saved, sender=Tag, dispatch_uid="search.tag")
    pre_delete.connect(_tag_goes, sender=Tag, dispatch_uid="search.tag_goes")
    post_delete.connect(_tag_gone, sender=Tag, dispatch_uid="search.tag_gone")
    m2m_changed.connect(_tagged, sender=Document.tags.through, dispatch_uid="search.tagged")


def index(document: Document) -> None:
    """Write all words of a document anew, those of its file too."""
    _index_words(document)
    version = document.versions.order_by("-position").first()
    if version is not None:
        _index_file(version)


def text_of(version: DocumentVersion) -> str:
    """Return the beginning of a text file; "" for other files, and for one that is missing."""
    if not version.content_type.startswith("text/"):
        return ""
    try:
        with version.file.open("rb") as file:
            content: bytes = file.read(LARGEST_TEXT)
    except FileNotFoundError:
        return ""
    # PostgreSQL's text holds no NUL.
    return content.decode("utf-8", errors="replace").replace("\0", " ")


def _index_words(document: Document) -> None:
    tags = document.tags.order_by("name").values_list("name", flat=True)
    SearchText.objects.update_or_create(
        document_id=document.pk,
        defaults={
            "number": document.document_number,
            "title": document.title,
            "keywords": " ".join([*tags, document.description]).strip(),
        },
    )


def _index_file(version: DocumentVersion) -> None:
    SearchText.objects.filter(document=version.document_id).update(body=text_of(version))


def _document_saved(instance: Document, *, raw: bool, **_: Any) -> None:
    if not raw:
        _index_words(instance)


def _version_saved(instance: DocumentVersion, *, raw: bool, **_: Any) -> None:
    if not raw:
        _index_file(instance)


def _tag_saved(instance: Tag, *, raw: bool, created: bool, **_: Any) -> None:
    if not raw and not created:
        for document in instance.documents.all():
            _index_words(document)


def _tag_goes(instance: Tag, **_: Any) -> None:
    """Note whose tag it is, while that can be asked: no signal tells of the rows in between."""
    instance.__dict__["_was_of"] = list(instance.documents.values_list("pk", flat=True))


def _tag_gone(instance: Tag, **_: Any) -> None:
    for document in Document.objects.filter(pk__in=instance.__dict__.pop("_was_of")):
        _index_words(document)


def _tagged(instance: Any, *, action: str, reverse: bool, pk_set: Any, **_: Any) -> None:
    if not action.startswith("post_"):
        return
    documents = Document.objects.filter(pk__in=pk_set or ()) if reverse else [instance]
    for document in documents:
        _index_words(document)
