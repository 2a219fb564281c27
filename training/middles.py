"""Middles: what of a file a training example asks for, and where.

Rests of lines, several lines, and blocks that end where the server's own rule ends them.
"""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from inkling.context.scope import block_end, indent_of
from inkling.context.syntax import SyntaxTree, extent_at, parse
from inkling.core import Extent
from training.config import RowShape
from training.documents import Document

HORIZON = 6000  # characters after the cursor in which a block may end
_CLOSING = re.compile(r"[)\]}\"'`;:,]+\s*$")


@dataclass(frozen=True)
class Hole:
    """What the model shall write: `text[cursor:end]`."""

    cursor: int
    end: int


def draw_hole(
    rng: random.Random,
    shape: RowShape,
    document: Document,
    tree: SyntaxTree | None,
    starts: Sequence[int],
) -> Hole | None:
    """A place to complete near one of these line starts: a block, some lines or the rest of a line."""
    text, kind = document.text, rng.random()
    for _ in range(8):
        start = rng.choice(starts)
        if kind < shape.block_share:
            hole = _block_hole(rng, document, tree, start)
        else:
            several = kind < shape.block_share + shape.lines_share
            between = not several and rng.random() < shape.between_share
            hole = _line_hole(rng, text, start, 1 + several * rng.randint(1, 5), between)
            if hole and tree and _is_prose(tree, text, hole.cursor):
                hole = hole if rng.random() < shape.prose_share else None
        if hole is not None and hole.end - hole.cursor <= 5 * shape.longest_middle:
            return hole
    return None


def line_starts(text: str) -> list[int]:
    return [0, *(match.end() for match in re.finditer("\n", text))]


def _line_end(text: str, offset: int) -> int:
    end = text.find("\n", offset)
    return len(text) if end < 0 else end


def _line_hole(
    rng: random.Random, text: str, start: int, num_lines: int, between: bool
) -> Hole | None:
    """From somewhere in a line that is not blank to its end, or to the end of a later one."""
    end = _line_end(text, start)
    line = text[start:end].rstrip()
    if not line:
        return None
    cursor = start + rng.randrange(indent_of(line), len(line))
    for _ in range(num_lines - 1):
        if end + 1 < len(text):
            end = _line_end(text, end + 1)
    if num_lines > 1:
        end = start + len(text[start:end].rstrip())
    elif between and (closing := _CLOSING.search(text, cursor, end)):
        end = closing.start()
    return Hole(cursor, end) if end > cursor else None


def _block_hole(
    rng: random.Random, document: Document, tree: SyntaxTree | None, start: int
) -> Hole | None:
    """From a place where the server would write a block to where that block ends."""
    text = document.text
    line = text[start : _line_end(text, start)]
    if not line.strip():
        return None
    body = start + indent_of(line)
    place = rng.random()
    if place < 0.45:  # a header line's end
        cursor = start + len(line.rstrip())
    elif place < 0.80:  # a new line, indented, nothing on it yet
        cursor = body
    else:  # within a header
        cursor = rng.randrange(body, start + len(line.rstrip()) + 1)
    following = text[cursor : cursor + HORIZON]
    length = block_end(text[start:cursor], following, cursor + HORIZON >= len(text))
    if not length or not following[:length].strip():
        return None
    without = text[:cursor] + text[cursor + length :]
    is_block = extent_at(parse(document.language, without, tree), without, cursor) is Extent.BLOCK
    if not is_block and rng.random() < 0.8:
        return None
    return Hole(cursor, cursor + length)


def _is_prose(tree: SyntaxTree, text: str, cursor: int) -> bool:
    node = tree.node_at(len(text[:cursor].encode("utf-8", errors="surrogatepass")))
    return node is not None and node.type in tree.language.texts
