"""Random values that depend on the seed only."""

import uuid
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

EPOCH = datetime(2016, 1, 4, tzinfo=UTC)
YEARS = 10

_ACTS = ("Control", "Handling", "Calibration", "Release", "Cleaning", "Storage", "Inspection",
         "Transport", "Disposal", "Training", "Validation", "Maintenance", "Sampling")  # fmt: skip
_THINGS = ("raw materials", "scales", "finished goods", "records", "suppliers", "complaints",
           "the cold store", "labels", "solvents", "pressure vessels", "visitors", "Prüfmittel",
           "données d’essai", "batch records", "spare parts", "access cards")  # fmt: skip
_PLACES = ("", "", "", " in hall 2", " at site Łódź", " during night shift", " – appendix")
_REMARKS = ("Please explain table 2.", "Agreed.", "The limit is wrong: 0.5 g, not 5 g.",
            "Who keeps the original?", "See the audit of last year.", "Done, thank you.",
            "Überarbeiten: Abschnitt 4 fehlt.", "Still how we work?\nI doubt it.")  # fmt: skip


class Chance(Random):
    """A seeded source of the values that a document management system holds."""

    def uuid(self) -> uuid.UUID:
        """A random UUID (version 4)."""
        return uuid.UUID(int=self.getrandbits(128), version=4)

    def moment(self, year: int) -> datetime:
        """A moment of the working year number `year` (0 is 2016), to the microsecond."""
        start = EPOCH + timedelta(days=365 * year)
        return start + timedelta(days=self.random() * 330, microseconds=self.randrange(9))

    def title(self) -> str:
        """What a document might be called."""
        return f"{self.choice(_ACTS)} of {self.choice(_THINGS)}{self.choice(_PLACES)}"

    def remark(self) -> str:
        """What somebody might say about a document."""
        return self.choice(_REMARKS)

    def metadata(self, pk: int) -> dict[str, Any]:
        """Nested values of all JSON types, one of them a raw primary key."""
        return {
            "language": self.choice(["en", "de", "fr", "pl"]),
            "pages": self.randrange(1, 60),
            "weight": round(self.random() * 10, 3),
            "related_pk": pk,
            "keywords": [self.choice(_THINGS) for _ in range(self.randrange(3))],
            "archive": None if self.random() < 0.5 else {"box": self.randrange(900), "scan": True},
        }
