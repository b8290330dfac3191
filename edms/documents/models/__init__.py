"""Documents, what they are filed under, their files, and what people said and did about them."""

from edms.documents.models.access import AccessLog
from edms.documents.models.catalogue import (
    DocumentSource,
    DocumentType,
    NumberSeries,
    SensitivityLabel,
    Tag,
)
from edms.documents.models.discussion import Comment
from edms.documents.models.document import Document, DocumentDependency, ExternalDocument
from edms.documents.models.files import Attachment, DocumentVersion, attachment_path, version_path
from edms.documents.models.search import SearchText

__all__ = [
    "AccessLog",
    "Attachment",
    "Comment",
    "Document",
    "DocumentDependency",
    "DocumentSource",
    "DocumentType",
    "DocumentVersion",
    "ExternalDocument",
    "NumberSeries",
    "SearchText",
    "SensitivityLabel",
    "Tag",
    "attachment_path",
    "version_path",
]
