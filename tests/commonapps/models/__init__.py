"""One file per kind of app."""

from tests.commonapps.models.history import AuditTrail, HistoricalArticle
from tests.commonapps.models.tags import Article, Mark, Stock, Tag, TaggedItem
from tests.commonapps.models.trees import Book, Category, Chapter, Page, Song

__all__ = [
    "Article",
    "AuditTrail",
    "Book",
    "Category",
    "Chapter",
    "HistoricalArticle",
    "Mark",
    "Page",
    "Song",
    "Stock",
    "Tag",
    "TaggedItem",
]
