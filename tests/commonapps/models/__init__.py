"""One file per kind of app."""

from tests.commonapps.models.fields import Event, Parcel
from tests.commonapps.models.history import AuditTrail, HistoricalArticle
from tests.commonapps.models.tags import Article, Mark, Stock, Tag, TaggedItem
from tests.commonapps.models.trees import Book, Category, Chapter, Link, Page, Song
from tests.commonapps.models.unkind import OfUnkindKey, Patient, Unkind, UnkindKey, Visit

__all__ = [
    "Article",
    "AuditTrail",
    "Book",
    "Category",
    "Chapter",
    "Event",
    "HistoricalArticle",
    "Link",
    "Mark",
    "OfUnkindKey",
    "Page",
    "Parcel",
    "Patient",
    "Song",
    "Stock",
    "Tag",
    "TaggedItem",
    "Unkind",
    "UnkindKey",
    "Visit",
]
