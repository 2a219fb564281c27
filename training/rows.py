"""Files → training rows, in exactly the prompts the server sends.

A prompt comes from the server's own `prepare`, with the package as its workspace, and where a block
ends is the server's own rule: what the model is trained on cannot drift from what it is asked. An
example is a prompt, its middle and `<|return|>`, and a row holds what fits of them, filled up with
plain file text:

    system, developer, user (related chunks, suffix, head) | tail + middle, return | plain text
    weight 0               weight class ASIDE, head CODE   | CODE    MIDDLE        | CODE
"""

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inkling.client import EngineModel
from inkling.config import Settings
from inkling.context.syntax import parse
from inkling.core import CompletionRequest, DocumentSnapshot
from inkling.preparation import EditEpisode, Target, prepare
from inkling.prompt.redaction import redacted
from inkling.tokenizer import Tokenizer
from training.config import RowShape
from training.documents import Document
from training.middles import Hole, draw_hole, line_starts
from training.projects import Projects

# The two top bits of a row's uint16 say how the token counts in the loss; ids stay below 2**14.
CLASS_SHIFT = 14
FIXED, ASIDE, CODE, MIDDLE = range(4)
TOKEN_MASK = (1 << CLASS_SHIFT) - 1

WAITING = 24  # examples among which the one that fits a row's rest is looked for
LINES_ABOVE = 60  # an earlier plan was made at most this far up
# Related code is chosen once a sitting, which is most of the work at a row.
MOST_SITTINGS = 4
CHARS_PER_SITTING = 8000
SITTING_REACH = 3000  # characters
MOST_OF_SITTING = 6

Row = NDArray[np.uint16]


@dataclass(frozen=True)
class Example:
    """One prompt with its middle; `classes` has the loss class of each id."""

    ids: list[int]
    classes: list[int]


@dataclass(frozen=True)
class Sitting:
    """Work at one place of a file: what the server keeps of the document from key to key."""

    settings: Settings
    episode: EditEpisode


class RowBuilder:
    """Draws rows from documents without end. Same seed, same rows."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        documents: Sequence[Document],
        projects: Projects,
        shape: RowShape,
    ) -> None:
        """`projects` has the documents' packages laid out."""
        self._tokenizer = tokenizer
        self._projects = projects
        self._shape = shape
        # `prepare` reads nothing but the context's length and the wording's name.
        model = EngineModel("demo", Path(), shape.row_len, "demo", "cpu", "", 0)
        self._target = Target(model, tokenizer)
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
            for document in self._draw_group(rng).draw(rng):
                for example in self._examples(rng, document):
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

    def _examples(self, rng: random.Random, document: Document) -> Iterator[Example]:
        """Examples of some sittings: a few holes near each other, as while one works at a place."""
        if not document.text.strip():
            return
        tree = parse(document.language, document.text)
        starts = line_starts(document.text)
        for _ in range(max(1, min(MOST_SITTINGS, len(document.text) // CHARS_PER_SITTING))):
            at = rng.choice(starts)
            near = [start for start in starts if at <= start <= at + SITTING_REACH]
            drawn = (
                draw_hole(rng, self._shape, document, tree, near) for _ in range(MOST_OF_SITTING)
            )
            holes = sorted({hole for hole in drawn if hole is not None}, key=lambda it: it.cursor)
            sitting = self.sitting(rng)
            for hole in holes:
                example = self.example(rng, document, hole, sitting)
                if example is not None:
                    yield example

    def sitting(self, rng: random.Random) -> Sitting:
        """One of a random budget, with or without related code."""
        related = rng.random() < self._shape.chunks_share
        settings = Settings(prompt_tokens=self._budget(rng), related_code=related)
        return Sitting(settings, EditEpisode())

    def example(
        self, rng: random.Random, document: Document, hole: Hole, sitting: Sitting
    ) -> Example | None:
        """The prompt a server with this file open would send at the hole, and the middle."""
        shape, tokenizer, text = self._shape, self._tokenizer, document.text
        suffix = text[hole.end :]
        # Within a line something always follows: without it, nobody would close the brackets.
        if rng.random() < shape.no_suffix_share and not suffix.partition("\n")[0].strip():
            suffix = ""
        cursors = [hole.cursor]
        if rng.random() < shape.earlier_plan_share:
            cursors.insert(0, _lines_above(text, hole.cursor, rng.randint(0, LINES_ABOVE)))
        workspace = self._projects.workspace(document.package)
        uri = (workspace.root / document.path).as_uri()
        for cursor in cursors:
            now = text[:cursor] + suffix
            file = DocumentSnapshot(uri, document.path, document.language, now, 0)
            request = CompletionRequest(file, cursor)
            prepare(request, sitting.episode, self._target, sitting.settings, workspace)
        plan = sitting.episode.plan
        assert plan is not None
        if not suffix.startswith(plan.suffix):
            return None  # frozen at an earlier hole of the sitting: the answer may stand in it
        tail = text[plan.anchor : hole.cursor]
        num_tail = len(tokenizer.encode(tail))
        if num_tail > plan.tail_budget:  # the server would cut it
            return None
        # Tail and middle are encoded together: the engine heals the token the cursor cuts.
        written = tokenizer.encode(tail + text[hole.cursor : hole.end])
        ids = [*plan.fixed_ids, *written, self._return]
        if len(written) - num_tail > shape.longest_middle or len(ids) > shape.row_len + 1:
            return None
        classes = self._fixed_classes(plan.fixed_ids, len(tokenizer.encode(redacted(plan.head))))
        position = 0
        tail_bytes = len(tail.encode("utf-8", errors="surrogatepass"))
        for token in written:
            position += len(tokenizer.token_bytes(token))
            classes.append(CODE if position <= tail_bytes else MIDDLE)
        return Example(ids, [*classes, MIDDLE])

    def _budget(self, rng: random.Random) -> int:
        """Tokens for a prompt: as on a GPU, as on a CPU, or any other number."""
        shape, drawn = self._shape, rng.random()
        if drawn < shape.full_budget_share:
            return shape.prompt_budget
        if drawn < shape.full_budget_share + shape.cpu_budget_share:
            return min(shape.cpu_budget, shape.prompt_budget)
        return rng.randint(shape.smallest_budget, shape.prompt_budget)

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
        for index, document in enumerate(documents):
            folder = document.path.rpartition("/")[0]
            folders[document.package, folder].append(index)
        self._folders = list(folders.values())
        sizes = [min(len(document.text), 40_000) for document in documents]
        self._weights = np.cumsum([sum(sizes[i] for i in folder) for folder in self._folders])
        self._document_weights = np.cumsum(sizes)

    def __len__(self) -> int:
        return len(self._documents)

    def draw(self, rng: random.Random) -> list[Document]:
        """Up to 4 documents of one folder to dig holes in."""
        at = int(np.searchsorted(self._weights, rng.random() * self._weights[-1], side="right"))
        folder = self._folders[at]
        sizes = [min(len(self._documents[i].text), 40_000) for i in folder]
        return [self._documents[index] for index in sorted(set(rng.choices(folder, sizes, k=4)))]

    def draw_one(self, rng: random.Random) -> Document:
        total = self._document_weights[-1]
        at = np.searchsorted(self._document_weights, rng.random() * total, side="right")
        return self._documents[int(at)]


def _lines_above(text: str, offset: int, count: int) -> int:
    """The end of the line `count` lines above `offset`."""
    for _ in range(count):
        newline = text.rfind("\n", 0, offset)
        if newline <= 0:
            break
        offset = newline
    return offset
