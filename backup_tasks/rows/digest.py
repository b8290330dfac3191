"""The digests of a model's rows: the same rows, in any order, give the same digests.

A digest is the sum modulo 2**256 of the SHA-256 of each row, as 64 hexadecimal digits. A sum, not
an exclusive or: two equal rows don't cancel out. No rows have the digest of 64 zeros. It is both:

    digest      of the canonical rows: the same wherever the data is, on any database
    exact       of each canonical row followed by the rest of its line, primary keys and stored
                JSON text: the same on the same kind of database
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

_MODULUS = 1 << 256


class Digests:
    """Adds up lines."""

    __slots__ = ("_canonical", "_exact")

    def __init__(self) -> None:
        self._canonical = self._exact = 0

    def add(self, prefixes: Sequence[bytes], suffixes: Sequence[bytes]) -> None:
        """Count in lines, each parted: its canonical row without the closing brace, the rest."""
        canonical_sum = exact_sum = 0
        number, fresh = int.from_bytes, sha256().copy
        for prefix, suffix in zip(prefixes, suffixes, strict=True):
            hashed = fresh()  # half the time of a constructor's
            hashed.update(prefix)
            hashed.update(b"}")
            canonical_sum += number(hashed.digest(), "big")
            hashed.update(suffix)
            exact_sum += number(hashed.digest(), "big")
        self._canonical = (self._canonical + canonical_sum) % _MODULUS
        self._exact = (self._exact + exact_sum) % _MODULUS

    @property
    def digest(self) -> str:
        """Of the canonical rows so far."""
        return f"{self._canonical:064x}"

    @property
    def exact(self) -> str:
        """Of the whole lines so far."""
        return f"{self._exact:064x}"
