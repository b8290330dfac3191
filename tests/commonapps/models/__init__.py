"""One file per kind of app."""

from tests.commonapps.models.tags import Article, Mark, Stock, Tag, TaggedItem
from tests.commonapps.models.trees import Book, Category, Chapter, Page, Song

__all__ = [
    "Article",
    "Book",
    "Category",
    "Chapter",
    "Mark",
    "Page",
    "Song",
    "Stock",
    "Tag",
    "TaggedItem",
]
