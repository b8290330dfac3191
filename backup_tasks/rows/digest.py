"""The digests of a model's rows. The same rows in any order give the same digests.

A digest is the sum modulo 2**256 of the SHA-256 of each row, as 64 hexadecimal digits. With a sum,
unlike an exclusive or, two equal rows don't cancel out. A model without rows has the digest of 64
zeros. There are two:

    digest      over the canonical rows: equal on any database that holds the same data
    exact       over each canonical row and the suffix of its line, which has primary keys and
                stored JSON text: equal on the same kind of database
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

_MODULUS = 1 << 256


class Digests:
    """Adds up the hashes of lines."""

    __slots__ = ("_canonical", "_exact")

    def __init__(self) -> None:
        self._canonical = self._exact = 0

    def add(self, prefixes: Sequence[bytes], suffixes: Sequence[bytes]) -> None:
        """Add lines, given as prefixes and suffixes."""
        canonical_sum = exact_sum = 0
        number, fresh = int.from_bytes, sha256().copy
        for prefix, suffix in zip(prefixes, suffixes, strict=True):
            hashed = fresh()  # a copy takes half the time of a constructor
            hashed.update(prefix)
            hashed.update(b"}")
            canonical_sum += number(hashed.digest(), "big")
            hashed.update(suffix)
            exact_sum += number(hashed.digest(), "big")
        self._canonical = (self._canonical + canonical_sum) % _MODULUS
        self._exact = (self._exact + exact_sum) % _MODULUS

    @property
    def digest(self) -> str:
        """The canonical digest of the lines so far."""
        return f"{self._canonical:064x}"

    @property
    def exact(self) -> str:
        """The exact digest of the lines so far."""
        return f"{self._exact:064x}"
