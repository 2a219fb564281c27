"""Files → training rows, in exactly the prompts the server sends.

Plan, rendering, related chunks, and where a block ends are the server's own modules: what the model
is trained on cannot drift from what it is asked. An example is a prompt, its middle and `<|return|>`,
and a row holds what fits of them, filled up with plain file text:

    system, developer, user (related chunks, suffix, head) | tail + middle, return | plain text
    weight 0               weight class ASIDE, head CODE   | CODE    MIDDLE        | CODE
"""

import random
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inkling.context.chunks import rank_chunks
from inkling.context.scope import block_end, indent_of
from inkling.context.syntax import SyntaxTree, extent_at, parse
from inkling.core import DocumentSnapshot, Extent
from inkling.prompt.harmony import DEMO
from inkling.prompt.plan import make_plan
from inkling.tokenizer import Tokenizer
from training.config import RowShape
from training.documents import Document

# The two top bits of a row's uint16 say how the token counts in the loss; ids stay below 2**14.
CLASS_SHIFT = 14
FIXED, ASIDE, CODE, MIDDLE = range(4)
TOKEN_MASK = (1 << CLASS_SHIFT) - 1

WAITING = 24  # examples among which the one that fits a row's rest is looked for
MOST_OTHERS = 24  # files the server reads for related chunks
HORIZON = 6000  # characters after the cursor in which a block may end
LINES_ABOVE = 60  # an earlier plan was made at most this far up
_IMPORTED = re.compile(r"""(?:from|import|require\()\s*["']?([\w.@/-]+)""")
_CLOSING = re.compile(r"[)\]}\"'`;:,]+\s*$")

Row = NDArray[np.uint16]


@dataclass(frozen=True)
class Hole:
    """What the model shall write: `text[cursor:end]`."""

    cursor: int
    end: int


@dataclass(frozen=True)
class Example:
    """One prompt with its middle; `classes` has the loss class of each id."""

    ids: list[int]
    classes: list[int]


class RowBuilder:
    """Draws rows from documents without end. Same seed, same rows."""

    def __init__(
        self, tokenizer: Tokenizer, documents: Sequence[Document], shape: RowShape
    ) -> None:
        self._tokenizer = tokenizer
        self._shape = shape
        self._groups = [
            _Folders([document for document in documents if document.is_python]),
            _Folders([document for document in documents if not document.is_python]),
        ]
        special = tokenizer.special
        self._start, self._message = special["<|start|>"], special["<|message|>"]
        self._return = special["<|return|>"]
        self._start_of_text = special["<|startoftext|>"]
        self._end_of_text = special["<|endoftext|>"]
        # <|end|><|start|>assistant<|channel|>final<|message|>
        self._opening_len = 5 + len(tokenizer.encode("assistant")) + len(tokenizer.encode("final"))
        self._opening_len -= 1

    def rows(self, seed: int, count: int) -> Row:
        """`count` rows [count, row_len + 1]: one token more than is predicted from."""
        rng = random.Random(seed)
        length = self._shape.row_len + 1
        plain, examples = self._plain(rng), self._endless(rng)
        waiting: list[list[int]] = []
        made: list[list[int]] = []
        while len(made) < count:
            row: list[int] = []
            is_plain = rng.random() < self._shape.plain_share
            while not is_plain and len(waiting) < WAITING:
                waiting.append(next(examples))
            if not is_plain:
                row += waiting.pop(rng.randrange(len(waiting)))
                while fitting := [other for other in waiting if len(row) + len(other) <= length]:
                    longest = max(fitting, key=len)
                    waiting.remove(longest)
                    row += longest
            while len(row) < length:
                row.append(next(plain))
            made.append(row)
        return np.array(made, dtype=np.uint16)

    def _endless(self, rng: random.Random) -> Iterator[list[int]]:
        """Examples, packed: each token with its class in the top bits."""
        while True:
            others, chosen = self._draw_group(rng).draw(rng)
            for document in chosen:
                for example in self._examples(rng, document, others):
                    pairs = zip(example.ids, example.classes, strict=True)
                    yield [token | (kind << CLASS_SHIFT) for token, kind in pairs]

    def _draw_group(self, rng: random.Random) -> "_Folders":
        python, other = self._groups
        if not (python and other):
            return python or other
        return python if rng.random() < self._shape.python_share else other

    def _plain(self, rng: random.Random) -> Iterator[int]:
        """Whole files, one after the other, every token counting as code."""
        while True:
            document = self._draw_group(rng).draw_one(rng)
            yield self._start_of_text
            for token in self._tokenizer.encode(document.text[:40_000]):
                yield token | (CODE << CLASS_SHIFT)
            yield self._end_of_text | (CODE << CLASS_SHIFT)

    def _examples(
        self, rng: random.Random, document: Document, others: Sequence[DocumentSnapshot]
    ) -> Iterator[Example]:
        if not document.text.strip():
            return
        tree = parse(document.language, document.text)
        others = [other for other in others if other.path != document.path]
        starts = line_starts(document.text)
        for _ in range(max(1, min(8, len(document.text) // 2500))):
            hole = self.draw_hole(rng, document, tree, starts)
            if hole is not None:
                example = self.example(rng, document, others, hole)
                if example is not None:
                    yield example

    def draw_hole(
        self,
        rng: random.Random,
        document: Document,
        tree: SyntaxTree | None,
        starts: Sequence[int],
    ) -> Hole | None:
        """A place to complete: a block, some lines or the rest of a line."""
        shape, text = self._shape, document.text
        kind = rng.random()
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

    def example(
        self,
        rng: random.Random,
        document: Document,
        others: Sequence[DocumentSnapshot],
        hole: Hole,
    ) -> Example | None:
        """The prompt a server with this file open would send at the hole, and the middle."""
        shape, tokenizer, text = self._shape, self._tokenizer, document.text
        budget = shape.prompt_budget
        if rng.random() > shape.full_budget_share:
            budget = rng.randint(shape.smallest_budget, shape.prompt_budget)
        suffix = "" if rng.random() < shape.no_suffix_share else text[hole.end :]
        planned_at = hole.cursor
        if rng.random() < shape.earlier_plan_share:
            planned_at = _lines_above(text, hole.cursor, rng.randint(0, LINES_ABOVE))
        has_chunks = rng.random() < shape.chunks_share
        for offset in dict.fromkeys((planned_at, hole.cursor)):
            file = DocumentSnapshot(
                document.path, document.path, document.language, text[:offset] + suffix, 0
            )
            chunks = rank_chunks(file.text, offset, others) if has_chunks else ()
            plan = make_plan(tokenizer, DEMO, file, offset, chunks, budget)
            tail = text[plan.anchor : hole.cursor]
            num_tail = len(tokenizer.encode(tail))
            if num_tail <= plan.tail_budget:
                break
        else:
            return None
        # Tail and middle are encoded together: the engine heals the token the cursor cuts.
        written = tokenizer.encode(tail + text[hole.cursor : hole.end])
        ids = [*plan.fixed_ids, *written, self._return]
        if len(written) - num_tail > shape.longest_middle or len(ids) > shape.row_len + 1:
            return None
        classes = self._fixed_classes(plan.fixed_ids, len(tokenizer.encode(plan.head)))
        position = 0
        tail_bytes = len(tail.encode("utf-8", errors="surrogatepass"))
        for token in written:
            position += len(tokenizer.token_bytes(token))
            classes.append(CODE if position <= tail_bytes else MIDDLE)
        return Example(ids, [*classes, MIDDLE])

    def _fixed_classes(self, ids: Sequence[int], num_head: int) -> list[int]:
        """Loss classes of everything before the tail: only the user's message counts."""
        starts = [index for index, token in enumerate(ids) if token == self._start]
        user = ids.index(self._message, starts[2]) + 1
        head_end = len(ids) - self._opening_len
        head = head_end - num_head
        opening = len(ids) - head_end
        return [FIXED] * user + [ASIDE] * (head - user) + [CODE] * num_head + [FIXED] * opening


class _Folders:
    """Documents by package and folder: what lies together is drawn together."""

    def __init__(self, documents: Sequence[Document]) -> None:
        self._documents = documents
        folders: dict[tuple[str, str], list[int]] = defaultdict(list)
        self._of_stem: dict[tuple[str, str], list[int]] = defaultdict(list)
        for index, document in enumerate(documents):
            folder, _, name = document.path.rpartition("/")
            folders[document.package, folder].append(index)
            self._of_stem[document.package, name.split(".")[0]].append(index)
        self._folders = list(folders.values())
        sizes = [min(len(document.text), 40_000) for document in documents]
        self._weights = np.cumsum([sum(sizes[i] for i in folder) for folder in self._folders])
        self._document_weights = np.cumsum(sizes)

    def __len__(self) -> int:
        return len(self._documents)

    def draw(self, rng: random.Random) -> tuple[list[DocumentSnapshot], list[Document]]:
        """(files the server would read for related chunks, up to 6 documents to dig holes in)."""
        at = int(np.searchsorted(self._weights, rng.random() * self._weights[-1], side="right"))
        folder = self._folders[at]
        sizes = [min(len(self._documents[i].text), 40_000) for i in folder]
        chosen = set(rng.choices(folder, sizes, k=4))
        near: dict[int, None] = {}
        for index in sorted(chosen):
            document = self._documents[index]
            for name in _IMPORTED.findall(document.text, 0, 4000):
                stem = name.rstrip("./").replace("/", ".").split(".")[-1]
                for imported in self._of_stem.get((document.package, stem), ())[:2]:
                    near.setdefault(imported)
        start = rng.randrange(len(folder))
        for index in (folder[start:] + folder[:start])[:MOST_OTHERS]:
            near.setdefault(index)
        others = []
        for index in list(near)[:MOST_OTHERS]:
            document = self._documents[index]
            others.append(
                DocumentSnapshot(document.path, document.path, document.language, document.text, 0)
            )
        return others, [self._documents[index] for index in sorted(chosen)]

    def draw_one(self, rng: random.Random) -> Document:
        total = self._document_weights[-1]
        at = np.searchsorted(self._document_weights, rng.random() * total, side="right")
        return self._documents[int(at)]


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


def _lines_above(text: str, offset: int, count: int) -> int:
    """The end of the line `count` lines above `offset`."""
    for _ in range(count):
        newline = text.rfind("\n", 0, offset)
        if newline <= 0:
            break
        offset = newline
    return offset
