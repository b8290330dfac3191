"""Why a move of a workflow is refused.

WorkflowError
├── MoveNotAllowed    the state has no such move
├── NotYours          the person may not make it
└── Incomplete        something is missing: a file, a reviewer, a comment
"""


class WorkflowError(Exception):
    """A move that was refused; the message says why, in words for the person who tried."""


class MoveNotAllowed(WorkflowError):
    """The workflow type allows no such move from the state that the workflow is in."""


class NotYours(WorkflowError):
    """The person lacks the role, is not the one assigned, or wrote the document."""


class Incomplete(WorkflowError):
    """The document lacks something that the move needs."""
