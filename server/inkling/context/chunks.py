"""Related chunks: pieces of other files that share rare names with the code around the cursor.

Lexical and deterministic: the same texts give the same chunks in the same order.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from inkling.context.definitions import Definition, definitions, enclosing
from inkling.context.scope import DEFAULT_RULES, BlockRules
from inkling.context.syntax import parse
from inkling.core import Chunk, DocumentSnapshot

MAX_CHUNKS = 4
MAX_CHUNK_LINES = 24
MIN_CHUNK_LINES = 6  # before a new definition begins a new chunk
MAX_HEADER_LINES = 4  # of the definitions a chunk is inside of
LINES_ABOVE = 24  # of the cursor, whose names count
LINES_BELOW = 4
# A chunk this similar to the text at the cursor would only be copied.
MAX_OVERLAP = 0.5
MAX_LINE_LEN = 400  # characters; longer lines are data

_NAME = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]{2,}")
# For languages without a grammar.
_DEFINITION = re.compile(
    r"^[ \t]*(?:export\s+|default\s+|async\s+|abstract\s+)*"
    r"(?:def|class|function\*?|const|let|var|interface|type|enum)\s+([A-Za-z_$][\w$]*)",
    re.MULTILINE,
)
_TOP_LEVEL = re.compile(r"^[^\s#/*)\]}{]")


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
    near = names_near(text, offset)
    candidates = [
        indexed
        for other in others
        for indexed in _indexed_chunks(other.path, other.language, other.text)
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


def names_near(text: str, offset: int) -> frozenset[str]:
    """The names on the lines around an offset, most of them above it."""
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
def _indexed_chunks(path: str, language: str, text: str) -> tuple[_Indexed, ...]:
    tree = parse(language, text)
    found = definitions(tree) if tree is not None else ()
    rules = tree.language.block if tree is not None else DEFAULT_RULES
    lines = text.split("\n")
    cuts = [_with_leading(lines, definition.first_line, rules) for definition in found]
    chunks = []
    start = 0
    while start < len(lines):
        header = _header(found, start)
        end = _chunk_end(lines, start, MAX_CHUNK_LINES - len(header), cuts, rules)
        piece = "\n".join(line for line in lines[start:end] if len(line) <= MAX_LINE_LEN)
        names = frozenset(_NAME.findall(piece))
        if len(names) >= 3:
            defined = [it.name for it in found if start <= it.first_line < end]
            defined = defined if tree is not None else _DEFINITION.findall(piece)
            chunk = Chunk(path, "\n".join((*header, piece.strip("\n"))))
            chunks.append(_Indexed(chunk, names, frozenset(defined)))
        start = end
    return tuple(chunks)


def _header(found: Sequence[Definition], line: int) -> list[str]:
    """The signatures of the definitions around a line: whose methods, what function's end."""
    around = enclosing(found, line)
    header = [part for it in around for part in it.signature.split("\n")]
    return [part for part in header if len(part) <= MAX_LINE_LEN][:MAX_HEADER_LINES]


def _chunk_end(
    lines: list[str], start: int, limit: int, cuts: Sequence[int], rules: BlockRules
) -> int:
    """Where a chunk ends: before a top-level line, else where a definition inside one begins."""
    earliest, latest = start + MIN_CHUNK_LINES, min(start + limit, len(lines))
    for line in range(earliest, latest):
        if _is_top_level(lines[line], rules):
            return max(earliest, _with_leading(lines, line, rules))
    if latest == len(lines):
        return latest
    return max((cut for cut in cuts if earliest <= cut <= latest), default=latest)


def _is_top_level(line: str, rules: BlockRules) -> bool:
    return _TOP_LEVEL.match(line) is not None and line.strip(" \t;") not in rules.closers


def _with_leading(lines: list[str], line: int, rules: BlockRules) -> int:
    """The first line of the comments and decorators directly above a line."""
    while line > 0 and lines[line - 1].lstrip().startswith(rules.leading):
        line -= 1
    return line
