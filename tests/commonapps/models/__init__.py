"""One file per kind of app."""

from tests.commonapps.models.tags import Article, Mark, Stock, Tag, TaggedItem

__all__ = ["Article", "Mark", "Stock", "Tag", "TaggedItem"]
