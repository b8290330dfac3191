"""The digest of a model's rows: the same rows, in any order, on any database, give the same digest.

It is the sum modulo 2**256 of the SHA-256 of each row's bytes, as 64 hexadecimal digits. A sum, not
an exclusive or: two equal rows don't cancel out. The empty set has the digest of 64 zeros.
"""

from __future__ import annotations

from hashlib import sha256

_MODULUS = 1 << 256


class Digest:
    """Adds up rows."""

    __slots__ = ("_sum",)

    def __init__(self) -> None:
        self._sum = 0

    def add(self, row: bytes) -> None:
        """Count in one row."""
        self._sum += int.from_bytes(sha256(row).digest(), "big")

    def hexdigest(self) -> str:
        """Return the digest of the rows so far."""
        return f"{self._sum % _MODULUS:064x}"
