"""Holes in packages the model has never seen: what evaluate.py asks for, and what stood there."""

import io
import random
import re
import tokenize
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from inkling.context.scope import block_end, indent_of
from inkling.context.syntax import SyntaxTree, extent_at, parse
from inkling.core import DocumentSnapshot, Extent
from inkling.tokenizer import Tokenizer
from training.documents import Document

MIN_BEFORE = 3  # characters that are not blank left of the cursor of a rest-of-line hole
BLOCK_LINES = range(1, 16)
SHORTEST_BLOCK = 12  # characters: more than closing brackets
LONGEST_BLOCK = 150  # tokens: a block completion has 160


@dataclass(frozen=True)
class Hole:
    """`text[cursor:end]` of a held-out file. `is_code`: not in a comment or free-standing string."""

    kind: str  # "line" or "block"
    package: str
    path: str
    language: str
    cursor: int
    end: int
    is_code: bool
    target: str

    @property
    def group(self) -> str:
        return "python" if self.language == "python" else "javascript"


def write_sources(folder: Path, documents: Sequence[Document]) -> None:
    """Lay the held-out files out as their packages' folders: the server reads neighbours there.

    Only what the corpus' own filters let through: no compiled copy can give an answer away.
    """
    for document in documents:
        file = root_of(folder, document.package) / document.path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(document.text, encoding="utf-8")


def root_of(folder: Path, package: str) -> Path:
    return folder / package.replace(":", "-").replace("/", "-")


def with_hole(folder: Path, hole: Hole, text: str) -> DocumentSnapshot:
    """The file as the editor has it: all but what is asked for."""
    file = root_of(folder, hole.package) / hole.path
    without = text[: hole.cursor] + text[hole.end :]
    return DocumentSnapshot(file.as_uri(), hole.path, hole.language, without, 0)


def make_holes(
    documents: Sequence[Document], tokenizer: Tokenizer, num_lines: int, num_blocks: int, seed: int
) -> list[Hole]:
    """Rest-of-line and block holes of one language group: each package, then each of its files,
    is as likely as any other."""
    rng = random.Random(seed)
    drawn = _draw(rng, documents)
    holes: dict[tuple[str, str, str, int], Hole] = {}

    def fill(kind: str, count: int, dig: Callable[[Document], Hole | None]) -> None:
        wanted = len(holes) + count
        while len(holes) < wanted:
            hole = dig(next(drawn))
            if hole is not None:
                holes[kind, hole.package, hole.path, hole.cursor] = hole

    fill("line", num_lines, lambda document: _line_hole(rng, document))
    fill("block", num_blocks, lambda document: _block_hole(rng, document, tokenizer))
    return list(holes.values())


def _draw(rng: random.Random, documents: Sequence[Document]) -> Iterator[Document]:
    by_package: dict[str, list[Document]] = defaultdict(list)
    for document in documents:
        by_package[document.package].append(document)
    packages = [by_package[name] for name in sorted(by_package)]
    while True:
        yield rng.choice(rng.choice(packages))


def _hole(kind: str, document: Document, cursor: int, end: int, is_code: bool) -> Hole:
    return Hole(
        kind,
        document.package,
        document.path,
        document.language,
        cursor,
        end,
        is_code,
        document.text[cursor:end].rstrip(),
    )


def _line_hole(rng: random.Random, document: Document) -> Hole | None:
    lines = document.text.split("\n")
    number = rng.randrange(len(lines))
    line = lines[number].rstrip()
    columns = [
        column for column in range(len(line)) if len(re.sub(r"\s", "", line[:column])) >= MIN_BEFORE
    ]
    if not columns:
        return None
    column = rng.choice(columns)
    start = sum(len(above) + 1 for above in lines[:number])
    is_code = (
        not _is_python_prose(document.text, number, column)
        if document.is_python
        else not _is_prose(document, start + column)
    )
    end = start + len(lines[number])
    return _hole("line", document, start + column, end, is_code)


def _is_python_prose(text: str, number: int, column: int) -> bool:
    """Whether a place lies in a comment, a string over several lines, or one that begins its line."""
    lines = text.split("\n")
    is_prose = False
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            first, last = token.start[0] - 1, token.end[0] - 1
            is_text = token.type == tokenize.COMMENT or (
                token.type == tokenize.STRING
                and (last > first or not lines[first][: token.start[1]].strip())
            )
            if is_text and first <= number <= last:
                begins = token.start[1] if number == first else 0
                is_prose = column >= begins
    except (tokenize.TokenError, SyntaxError):
        pass
    return is_prose


def _is_prose(document: Document, offset: int) -> bool:
    tree = parse(document.language, document.text)
    node = tree.node_at(len(document.text[:offset].encode())) if tree else None
    return node is not None and node.type == "comment"


def _block_hole(rng: random.Random, document: Document, tokenizer: Tokenizer) -> Hole | None:
    """At the end of a header, or on a new line below one: where the server writes a block."""
    text = document.text
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    number = rng.randrange(len(starts))
    start = starts[number]
    end_of_line = text.find("\n", start)
    line = text[start : end_of_line if end_of_line >= 0 else len(text)]
    if not line.strip():
        return None
    is_new_line = rng.random() < 0.5
    cursor = start + (indent_of(line) if is_new_line else len(line.rstrip()))
    length = block_end(text[start:cursor], text[cursor:], is_whole=True)
    body = text[cursor : cursor + (length or 0)].strip()
    if len(body) < SHORTEST_BLOCK or len(body.split("\n")) not in BLOCK_LINES:
        return None
    if len(tokenizer.encode(body)) > LONGEST_BLOCK or _is_prose_start(document, cursor, body):
        return None
    end = cursor + (length or 0)
    without = text[:cursor] + text[end:]
    tree: SyntaxTree | None = parse(document.language, without)
    if extent_at(tree, without, cursor) is not Extent.BLOCK:
        return None
    return _hole("block", document, cursor, end, True)


def _is_prose_start(document: Document, cursor: int, body: str) -> bool:
    """Whether the block begins with a comment or a docstring: prose is not what is measured."""
    return body.startswith(("#", "//", "/*", "*", '"""', "'''", 'r"""'))
