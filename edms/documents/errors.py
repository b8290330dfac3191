"""Why something can't be done to a document.

DocumentError
└── NotTheirs     the person may not do it
"""


class DocumentError(Exception):
    """What was refused and why, in words for the person who tried."""


class NotTheirs(DocumentError):
    """Somebody else may do this, the person who tried may not."""
