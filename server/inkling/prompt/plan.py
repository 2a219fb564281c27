"""What of a document goes into the prompt, and where the cuts are.

    file:    … | head …………… | tail … ‸ suffix … | …
               window        anchor   cursor

The tail stands in the assistant's turn, so the model continues code instead of re-typing it; head,
suffix and chunks stand before it and are frozen. While one plan holds, a typed character only
appends to the tail: nothing before it is computed again.

A plan is made anew at a jump, after an edit above the anchor, or when the tail has outgrown its
share. The cuts fall on lines, at coarse steps, never at "cursor minus N". Secrets are left out.
"""

from dataclasses import dataclass

from inkling.common_prefix import common_prefix_len, common_suffix_len
from inkling.core import Chunk, DocumentSnapshot
from inkling.prompt.harmony import Wording, render_fixed
from inkling.prompt.redaction import redacted
from inkling.tokenizer import Tokenizer

CHUNK_SHARE = 0.30
# Of code, on average: what a document takes is estimated before it is encoded.
CHARS_PER_TOKEN = 3.5
SUFFIX_SHARE = 0.18
# Of the prefix's share, what a new plan leaves free for typing before it must be made anew.
GROWTH_SHARE = 0.25
WINDOW_STEP = 16  # lines: the window starts at a multiple of it
# A model continues code more surely when it has written some of it: this much stands in the tail.
ANCHOR_LINES = 4
ANCHOR_CHARS = 50
SUFFIX_TOLERANCE = 0.10
REST_REACH = 64  # characters
# Lines longer than this are cut at multiples of it (minified code, data).
LONG_LINE = 384


@dataclass(frozen=True)
class Prompt:
    """`token_ids` to send; the engine may choose the last `healing` of them again."""

    token_ids: list[int]
    healing: int


@dataclass(frozen=True)
class PromptPlan:
    """The frozen part of a document's prompt: all but the tail."""

    uri: str
    chunks: tuple[Chunk, ...]
    chunks_offset: int
    suffix: str
    suffix_is_rest: bool  # nothing stood behind it when it was frozen
    head: str
    anchor: int
    fixed_ids: tuple[int, ...]
    tail_budget: int

    def prompt(self, tokenizer: Tokenizer, document: DocumentSnapshot, offset: int) -> Prompt:
        """Token ids for the cursor at `offset`. Call it only while the plan holds."""
        tail = redacted(_one_line_end(document.text[self.anchor : offset]))
        # Only a very long line can pass the budget: its start is what matters least.
        token_ids = tokenizer.encode(tail)[-self.tail_budget :]
        return Prompt([*self.fixed_ids, *token_ids], tokenizer.healing_len(tail))

    def holds(self, tokenizer: Tokenizer, document: DocumentSnapshot, offset: int) -> bool:
        """Whether the cursor at `offset` needs nothing but a longer or shorter tail."""
        text = document.text
        return (
            document.uri == self.uri
            and self.anchor <= offset
            and text.endswith(self.head, 0, self.anchor)
            and self.is_followed_alike(text, offset)
            and len(tokenizer.encode(text[self.anchor : offset])) <= self.tail_budget
        )

    def is_followed_alike(self, text: str, offset: int) -> bool:
        """Whether the frozen suffix still stands for what follows `offset`."""
        # A suffix that was all there was stands for no text that has more behind it.
        reach = len(self.suffix) + (REST_REACH if self.suffix_is_rest else 0)
        return similar(self.suffix, text[offset : offset + reach])


def similar(frozen: str, now: str) -> bool:
    """Whether a frozen suffix still stands for the text after the cursor: the same first line, and
    at most 10 % changed."""
    if frozen.split("\n", 1)[0] != now.split("\n", 1)[0]:
        return False
    longest = max(len(frozen), len(now))
    same = common_prefix_len(frozen, now)
    same += min(common_suffix_len(frozen, now), min(len(frozen), len(now)) - same)
    return longest - same <= SUFFIX_TOLERANCE * longest


def chunk_budget(budget: int, text: str) -> int:
    """Tokens for related chunks in a prompt of `budget` tokens: their share, or what a short document
    `text` leaves over, less some for its growth."""
    left = int(budget * (1 - GROWTH_SHARE) - len(text) / CHARS_PER_TOKEN)
    return max(int(budget * CHUNK_SHARE), left)


def make_plan(
    tokenizer: Tokenizer,
    wording: Wording,
    document: DocumentSnapshot,
    offset: int,
    chunks: tuple[Chunk, ...] | None,
    budget: int,
    previous: PromptPlan | None = None,
    style: str = "",
) -> PromptPlan:
    """Plan the prompt for a cursor at `offset` (code points) within `budget` tokens.

    `chunks` come ranked, best first; those that do not fit are left out. What can be kept of the
    `previous` plan of the same document is kept: its suffix, if it still stands for what follows
    the cursor, and its chunks, if `chunks` is None. `style` is the team's, as the model is told it.
    """
    text, style = document.text, redacted(style)
    if previous is not None and chunks is None:
        kept, chunks_offset = previous.chunks, previous.chunks_offset
    else:
        room = chunk_budget(budget, text)
        clean = tuple(Chunk(it.path, redacted(it.text)) for it in chunks or ())
        kept, chunks_offset = _fit_chunks(tokenizer, clean, room), offset
    if previous is not None and previous.is_followed_alike(text, offset):
        suffix, suffix_is_rest = previous.suffix, previous.suffix_is_rest
    else:
        suffix = _fit_suffix(tokenizer, text, offset, int(budget * SUFFIX_SHARE))
        suffix_is_rest = offset + len(suffix) == len(text)
    path = document.path
    without_prefix = render_fixed(
        tokenizer, wording, path=path, chunks=kept, suffix=suffix, head="", style=style
    )
    prefix_budget = max(32, budget - len(without_prefix))
    growth = int(prefix_budget * GROWTH_SHARE)
    window = _window_start(tokenizer, text, offset, prefix_budget - growth)
    anchor = _anchor(text, window, offset)
    head = text[window:anchor]
    fixed_ids = render_fixed(
        tokenizer,
        wording,
        path=path,
        chunks=kept,
        suffix=redacted(_one_line_end(suffix)),
        head=redacted(_one_line_end(head)),
        style=style,
    )
    return PromptPlan(
        uri=document.uri,
        chunks=kept,
        chunks_offset=chunks_offset,
        suffix=suffix,
        suffix_is_rest=suffix_is_rest,
        head=head,
        anchor=anchor,
        fixed_ids=tuple(fixed_ids),
        tail_budget=max(32, budget - len(fixed_ids)),
    )


def _one_line_end(text: str) -> str:
    """The text as the model has learnt it: an editor puts the file's own line ends back."""
    return text.replace("\r\n", "\n")


def _fit_chunks(tokenizer: Tokenizer, chunks: tuple[Chunk, ...], budget: int) -> tuple[Chunk, ...]:
    kept = []
    for chunk in chunks:
        cost = len(tokenizer.encode(chunk.text)) + len(tokenizer.encode(chunk.path)) + 12
        if cost <= budget:
            kept.append(chunk)
            budget -= cost
    return tuple(kept)


def _fit_suffix(tokenizer: Tokenizer, text: str, offset: int, budget: int) -> str:
    """Whole lines after the cursor, as many as fit; at least a piece of the cursor's own line."""
    end = offset
    while end < len(text) and budget > 0:
        newline = text.find("\n", end)
        line_end = len(text) if newline < 0 else newline + 1
        if end == offset:
            line_end = min(line_end, end + LONG_LINE)
            while len(tokenizer.encode(text[end:line_end])) > budget and line_end - end > 1:
                line_end = (end + line_end) // 2
        budget -= len(tokenizer.encode(text[end : min(line_end, end + LONG_LINE)]))
        if budget < 0 or line_end - end > LONG_LINE:
            break
        end = line_end
    return text[offset:end]


def _window_start(tokenizer: Tokenizer, text: str, offset: int, budget: int) -> int:
    """The first line of the prefix in the prompt: at a multiple of WINDOW_STEP lines from the top,
    or the file's start, or inside a very long line."""
    starts = [0]  # offsets of the lines that end before the cursor
    position = text.find("\n", 0, offset)
    while position >= 0:
        starts.append(position + 1)
        position = text.find("\n", position + 1, offset)
    line_start = starts[-1]
    if offset - line_start > LONG_LINE:
        into_line = (offset - line_start) // LONG_LINE * LONG_LINE
        return line_start + max(0, into_line - LONG_LINE)
    fitting = len(starts) - 1  # index of the first line that fits
    end = offset
    for index in range(len(starts) - 1, -1, -1):
        if end - starts[index] > LONG_LINE:
            break
        budget -= len(tokenizer.encode(text[starts[index] : end]))
        if budget < 0:
            break
        fitting, end = index, starts[index]
    stepped = -(-fitting // WINDOW_STEP) * WINDOW_STEP
    return starts[stepped if stepped < len(starts) else fitting]


def _anchor(text: str, window: int, offset: int) -> int:
    """Where the tail begins: some lines above the cursor, enough for the model to stay in step."""
    anchor = max(window, text.rfind("\n", window, offset) + 1)
    for _ in range(ANCHOR_LINES):
        if anchor == window or offset - anchor >= ANCHOR_CHARS:
            break
        anchor = max(window, text.rfind("\n", window, anchor - 1) + 1)
    return anchor
