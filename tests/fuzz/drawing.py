"""Draws what is odd: bytes, values of JSON, names."""

from __future__ import annotations

import json
from random import Random
from typing import Any

_TEXTS = [
    *("", " ", "\0", "\n", "\x1b[2J", "é" * 88, "\ud800", "\u202e", "a" * 70_000, "../../x", "/"),
    *("full", "nightly", "zstd", "none", "null", "2026-11-22T22:33:55+00:00", "0001-01-01"),
    *("0" * 16, "f" * 64, ".backup_tasks/x", "CON", "database/001-a.b.jsonl", "9" * 5000),
]
_NUMBERS = [0, -1, 1, 2**31, 2**63 - 1, 2**63, 10**31, 10**400, 1.5, 1e308]
_NAMES = ["", "a", "é", "x" * 200, "\x1b[2J", "back\\slash", " ", "-rf", "a.tar.zst", "0" * 16]


def text(draw: Random) -> str:
    """An odd text."""
    return draw.choice(_TEXTS)


def value(draw: Random, depth: int = 0) -> Any:
    """An odd value of JSON."""
    kinds = ["text", "number", "constant", "list", "object", "deep", "many"]
    match draw.choice(kinds if depth < 3 else kinds[:3]):
        case "text":
            return text(draw)
        case "number":
            return draw.choice(_NUMBERS)
        case "constant":
            return draw.choice([None, True, False])
        case "list":
            return [value(draw, depth + 1) for _ in range(draw.randrange(4))]
        case "object":
            return {text(draw): value(draw, depth + 1) for _ in range(draw.randrange(4))}
        case "deep":
            nested: Any = []
            for _ in range(draw.choice([10, 300])):
                nested = [nested]
            return nested
        case _:
            return [draw.choice([{}, [], "", 0])] * draw.choice([100, 50_000])


def changed(draw: Random, whole: Any) -> Any:
    """The same value of JSON with one thing in it changed: replaced, left out, added, doubled."""
    if isinstance(whole, dict) and whole and draw.random() < 0.9:
        key = draw.choice(sorted(whole))
        match draw.randrange(6):
            case 0:
                return {name: part for name, part in whole.items() if name != key}
            case 1:
                return {**whole, text(draw): value(draw)}
            case 2:
                return {**whole, key: value(draw)}
            case _:
                return {**whole, key: changed(draw, whole[key])}
    if isinstance(whole, list) and whole and draw.random() < 0.9:
        place = draw.randrange(len(whole))
        middle = draw.choice([[], [whole[place]] * 2, [value(draw)], [changed(draw, whole[place])]])
        return [*whole[:place], *middle, *whole[place + 1 :]]
    return value(draw)


def written(draw: Random, whole: Any) -> bytes:
    """A value as JSON, sometimes as JSON should not be."""
    content = json.dumps(whole, indent=draw.choice([None, 2])).encode()
    match draw.randrange(12):
        case 0:
            return content.decode().encode("utf-16")
        case 1:
            return b"\xef\xbb\xbf" + content
        case 2:
            return content + content
        case 3:
            return content.replace(b"null", b"NaN").replace(b"0", b"Infinity", 1)
        case 4:
            return damaged(draw, content)
        case _:
            return content


def damaged(draw: Random, content: bytes) -> bytes:
    """Bytes of which some were changed, cut out, repeated, or put in."""
    found = bytearray(content)
    for _ in range(draw.choice([1, 1, 2, 8])):
        place = draw.randrange(len(found) + 1)
        length = draw.choice([1, 4, 512, 4096])
        match draw.randrange(5):
            case 0:
                found[place : place + 1] = bytes([draw.randrange(256)])
            case 1:
                del found[place : place + length]
            case 2:
                found[place:place] = found[place : place + length]
            case 3:
                found[place:place] = draw.randbytes(length)
            case _:
                del found[place:]
    return bytes(found)


def file_name(draw: Random) -> bytes:
    """A name that a file of a store may have."""
    name = draw.choice(_NAMES).encode() if draw.random() < 0.7 else draw.randbytes(12)
    name = name.replace(b"/", b"").replace(b"\0", b"")
    return name[:200] + draw.choice([b".json", b".json", b".tar.zst", b""]) or b"x"
