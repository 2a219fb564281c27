"""Related chunks: pieces of other files that share rare names with the code around the cursor.

Lexical and deterministic: the same texts give the same chunks in the same order.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from inkling.core import Chunk, DocumentSnapshot

MAX_CHUNKS = 4
MAX_CHUNK_LINES = 24
LINES_ABOVE = 24  # of the cursor, whose names count
LINES_BELOW = 4
# A chunk this similar to the text at the cursor would only be copied.
MAX_OVERLAP = 0.5

_NAME = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]{2,}")
_DEFINITION = re.compile(
    r"^[ \t]*(?:export\s+|default\s+|async\s+|abstract\s+)*"
    r"(?:def|class|function\*?|const|let|var|interface|type|enum)\s+([A-Za-z_$][\w$]*)",
    re.MULTILINE,
)
_TOP_LEVEL = re.compile(r"^[^\s#/*)\]}]")


@dataclass(frozen=True)
class _Indexed:
    """A chunk with the names in it and those it defines."""

    chunk: Chunk
    names: frozenset[str]
    defined: frozenset[str]


def rank_chunks(
    text: str, offset: int, others: Sequence[DocumentSnapshot], limit: int = MAX_CHUNKS
) -> tuple[Chunk, ...]:
    """The best `limit` chunks of `others` for a cursor at `offset` of `text`, best first.

    Names near the cursor count by how rare they are among the candidates, twice where the chunk
    defines them; long chunks weigh less per name.
    """
    near = _names_near(text, offset)
    candidates = [
        indexed for other in others for indexed in _indexed_chunks(other.path, other.text)
    ]
    if not near or not candidates:
        return ()
    frequency = Counter(name for indexed in candidates for name in indexed.names & near)
    total = len(candidates)
    rarity = {name: math.log(1 + total / count) for name, count in frequency.items()}
    scored = []
    for order, indexed in enumerate(candidates):
        shared = indexed.names & near
        if len(shared) > MAX_OVERLAP * max(len(near), 8) and len(shared) > 0.8 * len(indexed.names):
            continue
        score = sum(rarity[name] for name in shared)
        score += sum(rarity[name] for name in indexed.defined & near)
        if score > 0:
            scored.append((-score / math.sqrt(8 + len(indexed.names)), order, indexed.chunk))
    scored.sort(key=lambda item: item[:2])
    return tuple(chunk for _, _, chunk in scored[:limit])


def _names_near(text: str, offset: int) -> frozenset[str]:
    start = offset
    for _ in range(LINES_ABOVE + 1):
        start = text.rfind("\n", 0, start)
        if start < 0:
            break
    end = offset
    for _ in range(LINES_BELOW + 1):
        end = text.find("\n", end + 1)
        if end < 0:
            end = len(text)
            break
    return frozenset(_NAME.findall(text, max(0, start), end))


@lru_cache(maxsize=96)
def _indexed_chunks(path: str, text: str) -> tuple[_Indexed, ...]:
    chunks = []
    for piece in _split(text):
        names = frozenset(_NAME.findall(piece))
        if len(names) >= 3:
            defined = frozenset(_DEFINITION.findall(piece))
            chunks.append(_Indexed(Chunk(path, piece), names, defined))
    return tuple(chunks)


def _split(text: str) -> list[str]:
    """Pieces of at most MAX_CHUNK_LINES lines, cut before top-level lines where possible."""
    pieces: list[str] = []
    current: list[str] = []
    for line in text.split("\n"):
        starts_new = _TOP_LEVEL.match(line) is not None and len(current) >= 6
        if current and (starts_new or len(current) >= MAX_CHUNK_LINES):
            pieces.append("\n".join(current))
            current = []
        if len(line) <= 400:
            current.append(line)
    if current:
        pieces.append("\n".join(current))
    return [stripped for piece in pieces if (stripped := piece.strip("\n"))]
