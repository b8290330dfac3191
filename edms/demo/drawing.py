"""Draws a small PNG, different for each name: a signature for the demonstration."""

import struct
import zlib
from math import sin

WIDTH, HEIGHT = 120, 40


def squiggle(name: str) -> bytes:
    """Return a black on white PNG of 120 by 40 pixels: a curve that `name` gives the shape of."""
    seed = sum(name.encode())
    rows = [bytearray([255] * WIDTH) for _ in range(HEIGHT)]
    for x in range(8, WIDTH - 8):
        y = HEIGHT / 2 + 9 * sin(x / (5 + seed % 7)) + 6 * sin(x / (2 + seed % 3))
        rows[int(y)][x] = rows[int(y) + 1][x] = 0
    pixels = zlib.compress(b"".join(b"\0" + bytes(row) for row in rows))
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 0, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", pixels), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in parts)


def _chunk(kind: bytes, data: bytes) -> bytes:
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))
