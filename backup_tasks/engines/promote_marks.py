"""What tells that a promote was committed, where its record is in another database."""

from __future__ import annotations

from abc import ABC, abstractmethod


class PromoteMarks(ABC):
    """A part of the contract of an engine."""

    @abstractmethod
    def schemas(self) -> list[str]:
        """Return the names of the schemas of runs that exist."""

    def has_promoted(self, keep: str) -> bool:
        """Whether a promote that keeps live's tables in the schema `keep` was committed."""
        return keep in self.schemas()

    def mark_promoted(self, keep: str) -> None:  # noqa: B027 - elsewhere the schema tells
        """In `record` of a promote: write what tells `has_promoted` that it was committed."""

    def forget_promoted(self, keep: str) -> None:  # noqa: B027 - elsewhere the schema tells
        """Remove what `mark_promoted` has written: the promote is recorded elsewhere."""
