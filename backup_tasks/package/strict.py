"""JSON objects read strictly: what is missing, of another type, or unknown is damage, and is named.

A package comes from outside, and a key that is not read would be data that is silently lost.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from backup_tasks.package.damage import damaged

_Value = TypeVar("_Value")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_ID = re.compile(r"[0-9a-f]{16}")
_YEARS = range(2000, 3000)
_NO_MOMENT = datetime.min.replace(tzinfo=UTC)

LARGEST = 2**63 - 1
"""The largest number that is read: what a column of the index can hold."""


class Record:
    """A JSON object whose keys are taken one by one; `done` then refuses what is left over.

    Each method raises PackageDamaged, naming the object, the key, and what was expected there.
    """

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, dict):
            raise damaged(f"{where} is not an object", obj=where)
        self._values = dict(value)
        self.where = where

    def _take(self, key: str, kind: type[_Value], description: str) -> _Value:
        if key not in self._values:
            raise damaged(f"{self.where} has no {key!r}", obj=self.where)
        value = self._values.pop(key)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise self.wrong(key, description)
        return value

    def wrong(self, key: str, description: str) -> Exception:
        """Return the error for a key that is not as described."""
        return damaged(f"{key!r} of {self.where} is not {description}", obj=self.where)

    def is_null(self, key: str) -> bool:
        """Take the key if it is null, and return whether it was."""
        if key in self._values and self._values[key] is None:
            del self._values[key]
            return True
        return False

    def lacks(self, key: str) -> bool:
        """Return whether a key that may be left out is."""
        return key not in self._values

    def text(self, key: str) -> str:
        """Take a text that every database can hold."""
        value = self.any_text(key)
        if not _is_storable(value):
            raise self.wrong(key, "a text without NUL and halves of characters")
        return value

    def any_text(self, key: str) -> str:
        """Take a text that may be a file's name: any bytes."""
        return self._take(key, str, "a text")

    def line(self, key: str, most: int) -> str:
        """Take a text that can be shown and stored anywhere: of printable characters, so many at
        most."""
        value = self.text(key)
        if not is_line(value, most):
            raise self.wrong(key, f"a line of at most {most} printable characters")
        return value

    def id(self, key: str) -> str:
        value = self.text(key)
        if not is_id(value):
            raise self.wrong(key, "16 hexadecimal digits")
        return value

    def text_or_none(self, key: str) -> str | None:
        return None if self.is_null(key) else self.text(key)

    def text_if_any(self, key: str) -> str:
        """Take a text that may be left out, and is not empty where it stands; "" without it."""
        if self.lacks(key):
            return ""
        if not (value := self.text(key)):
            raise self.wrong(key, "a text that says something")
        return value

    def line_if_any(self, key: str, most: int) -> str:
        """Take a line that may be left out, and is not empty where it stands; "" without it."""
        value = self.text_if_any(key)
        if not is_line(value, most):
            raise self.wrong(key, f"a line of at most {most} printable characters")
        return value

    def one_of(self, key: str, choices: tuple[str, ...]) -> str:
        value = self.text(key)
        if value not in choices:
            raise self.wrong(key, f"one of {', '.join(choices)}")
        return value

    def sha256(self, key: str) -> str:
        value = self.text(key)
        if not is_sha256(value):
            raise self.wrong(key, "a SHA-256 of 64 hexadecimal digits")
        return value

    def utc(self, key: str) -> str:
        """Take a moment in the one way that `datetime.isoformat` writes it, so that equal texts are
        equal moments."""
        value = self.text(key)
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            moment = _NO_MOMENT
        if (
            moment.utcoffset() != timedelta(0)
            or moment.year not in _YEARS
            or moment.isoformat() != value
        ):
            raise self.wrong(key, "a time in UTC (ISO 8601), of the years 2000 to 2999")
        return value

    def count(self, key: str) -> int:
        kind = f"a whole number from 0 to {LARGEST}"
        value = self._take(key, int, kind)
        if not 0 <= value <= LARGEST:
            raise self.wrong(key, kind)
        return value

    def number(self, key: str) -> int:
        kind = f"a whole number from {-LARGEST - 1} to {LARGEST}"
        value = self._take(key, int, kind)
        if not -LARGEST <= value + 1 <= LARGEST + 1:
            raise self.wrong(key, kind)
        return value

    def flag(self, key: str) -> bool:
        return self._take(key, bool, "true or false")

    def record(self, key: str) -> Record:
        return Record(self._take(key, dict, "an object"), f"{key!r} of {self.where}")

    def records(self, key: str) -> Iterator[Record]:
        """Yield the objects of a list one by one: all at once they take several times its room."""
        items = self._take(key, list, "a list")
        for number, item in enumerate(items, start=1):
            yield Record(item, f"{key!r} number {number} of {self.where}")

    def record_map(self, key: str) -> Iterator[tuple[str, Record]]:
        """Yield the objects of an object, with their names, one by one."""
        for name, item in self._take(key, dict, "an object").items():
            yield name, Record(item, f"{name!r} of {key!r} of {self.where}")

    def texts(self, key: str) -> tuple[str, ...]:
        """Take a list of texts of any kind."""
        items = self._take(key, list, "a list of texts")
        if not all(isinstance(item, str) for item in items):
            raise self.wrong(key, "a list of texts")
        return tuple(items)

    def lines(self, key: str, *, items: int, most: int) -> tuple[str, ...]:
        """Take at most so many texts that `line` would take."""
        values = self.texts(key)
        if len(values) > items or not all(is_line(value, most) for value in values):
            raise self.wrong(key, f"at most {items} lines of at most {most} printable characters")
        return values

    def pairs(self, key: str) -> tuple[tuple[str, str], ...]:
        items = self._take(key, list, "a list of pairs of texts")
        for item in items:
            if (
                not isinstance(item, list)
                or len(item) != 2
                or not all(isinstance(part, str) and _is_storable(part) for part in item)
            ):
                raise self.wrong(key, "a list of pairs of texts")
        return tuple((first, second) for first, second in items)

    def text_map(self, key: str) -> Mapping[str, str]:
        values = self._take(key, dict, "an object of texts")
        if not all(isinstance(value, str) for value in values.values()):
            raise self.wrong(key, "an object of texts")
        return values

    def count_map(self, key: str) -> Mapping[str, int]:
        record = self.record(key)
        return {name: record.count(name) for name in tuple(record._values)}

    def rest(self) -> Mapping[str, object]:
        """Return what was not taken yet."""
        return dict(self._values)

    def done(self) -> None:
        """Refuse keys that this version does not know."""
        if self._values:
            raise damaged(
                f"{self.where} has unknown keys: {', '.join(sorted(self._values))}",
                obj=self.where,
            )


def is_line(text: str, most: int) -> bool:
    """Return whether a text has printable characters only, and at most so many."""
    return len(text) <= most and text.isprintable()


def _is_storable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def is_id(text: str) -> bool:
    """Return whether a text has the form of a package's id: 16 hexadecimal digits, lower case."""
    return _ID.fullmatch(text) is not None


def is_sha256(text: str) -> bool:
    """Return whether a text is a SHA-256: 64 hexadecimal digits, lower case."""
    return _SHA256.fullmatch(text) is not None


def parse(content: bytes, where: str) -> Record:
    """Return the JSON object in `content` (UTF-8). Raises PackageDamaged naming `where`."""
    try:
        value = json.loads(content, object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise damaged(f"{where} is not valid JSON ({error})", obj=where) from error
    return Record(value, where)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("a key occurs twice")
    return values


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")
