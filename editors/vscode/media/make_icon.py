"""Draws icon.png: a cursor and the grey line that follows it. Needs Python alone."""

import struct
import zlib
from pathlib import Path

SIZE = 128
INK, PAPER, CURSOR, GHOST = (30, 32, 48), (238, 240, 246), (122, 162, 247), (98, 104, 134)
# left, top, right, bottom, colour
BARS = [
    (28, 34, 74, 44, PAPER),
    (28, 58, 52, 68, PAPER),
    (58, 50, 63, 76, CURSOR),
    (69, 58, 104, 68, GHOST),
    (40, 82, 86, 92, GHOST),
]
CORNER = 24


def colour(x: int, y: int) -> tuple[int, int, int, int]:
    """One pixel: a bar's colour, or ink, transparent outside the rounded square."""
    dx = max(CORNER - x, x - (SIZE - 1 - CORNER), 0)
    dy = max(CORNER - y, y - (SIZE - 1 - CORNER), 0)
    beyond = (dx * dx + dy * dy) ** 0.5 - CORNER
    alpha = round(255 * min(1.0, max(0.0, 0.5 - beyond)))
    shown = INK
    for left, top, right, bottom, bar in BARS:
        if left <= x < right and top <= y < bottom:
            shown = bar
    return (*shown, alpha)


def chunk(name: bytes, data: bytes) -> bytes:
    """A part of a PNG file."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


rows = [b"\0" + bytes(c for x in range(SIZE) for c in colour(x, y)) for y in range(SIZE)]
header = struct.pack(">IIBBBBB", SIZE, SIZE, 8, 6, 0, 0, 0)
Path(__file__).with_name("icon.png").write_bytes(
    b"\x89PNG\r\n\x1a\n"
    + chunk(b"IHDR", header)
    + chunk(b"IDAT", zlib.compress(b"".join(rows), 9))
    + chunk(b"IEND", b"")
)
