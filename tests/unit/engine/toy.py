"""A model whose next token depends on every token in its KV pages: any paging fault shows.

The "KV" of a position is its token id, read back from the pages and never from the arguments.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from inkling.engine.generate import Generator
from inkling.engine.job import Done, Event, Failed, Finished, Job, Token
from inkling.engine.kv import KVCache
from inkling.engine.model.base import KVStore, Step
from inkling.engine.model.config import GptOssConfig
from inkling.engine.model.paged_kv import KVBits
from inkling.engine.stub import StubModel
from inkling.engine.vocabulary import Vocabulary
from inkling.tokenizer import Tokenizer

# Every short text over a, b, c is a token, so that any text can be split in many ways.
TEXTS = ["a", "b", "c", "ab", "bc", "ca", "abc", "cab", "é", " "]
SPECIAL = [
    "<|start|>",
    "<|end|>",
    "<|message|>",
    "<|channel|>",
    "<|return|>",
    "<|call|>",
    "<|endoftext|>",
]


def toy_tokenizer() -> Tokenizer:
    """Ids 0-255 are the single bytes, then TEXTS, then the special tokens."""
    ranks = {bytes([byte]): byte for byte in range(256)}
    for text in TEXTS:
        ranks.setdefault(text.encode(), len(ranks))
    special = {name: len(ranks) + at for at, name in enumerate(SPECIAL)}
    return Tokenizer(r"[abc]+|\s+|.", ranks, special)


TOKENIZER = toy_tokenizer()
VOCABULARY = Vocabulary(TOKENIZER)
# What the toy model writes: letters, and now and then the end.
ALPHABET = [*(TOKENIZER.encode("a b c".replace(" ", ""))), *range(256, TOKENIZER.vocab_size)]


class ToyStore:
    bytes_per_token = 8

    def __init__(self, num_pages: int, page_len: int) -> None:
        self.num_pages = num_pages
        self.page_len = page_len
        self.slots = [[-1] * page_len for _ in range(num_pages)]

    def copy_page(self, src: int, dst: int) -> None:
        self.slots[dst] = list(self.slots[src])


class ToyModel:
    def __init__(self, context_len: int = 4096) -> None:
        self.config: GptOssConfig = StubModel(TOKENIZER).config
        self.num_computed = 0
        self.passes: list[int] = []
        self.longest = 0  # tokens of the longest sequence that a pass made
        self.context_len = context_len
        self.logits_of: Callable[[Sequence[int]], Tensor] = toy_logits
        self.fail_at: int | None = None

    def new_kv(self, num_pages: int, page_len: int, bits: KVBits = 16) -> KVStore:
        return ToyStore(num_pages, page_len)

    def forward(
        self,
        token_ids: Sequence[int],
        start: int,
        pages: Sequence[int],
        kv: KVStore,
        num_logits: int,
    ) -> Tensor:
        assert isinstance(kv, ToyStore)
        if self.fail_at in token_ids:
            raise RuntimeError("the toy broke")
        size = kv.page_len
        for at, token_id in enumerate(token_ids, start):
            kv.slots[pages[at // size]][at % size] = token_id
        self.num_computed += len(token_ids)
        self.passes.append(len(token_ids))
        end = start + len(token_ids)
        self.longest = max(self.longest, end)
        seen = [kv.slots[pages[at // size]][at % size] for at in range(end)]
        rows = [self.logits_of(seen[: end - num_logits + row + 1]) for row in range(num_logits)]
        return torch.stack(rows) if rows else torch.empty(0, TOKENIZER.vocab_size)


@dataclass
class ToyStep:
    """A step whose token the host has asked for, or not yet."""

    model: "ToyDecoder"
    chosen: int

    def token_id(self) -> int:
        self.model.unread.discard(id(self))
        return self.chosen


class ToyDecoder(ToyModel):
    """A toy with greedy steps. They write into their pages at once, wanted or not, as a device does
    that runs ahead of the host."""

    def __init__(self, costs: Sequence[float] = (1.0,)) -> None:
        """`costs[k]`: of a pass of `k + 1` tokens."""
        super().__init__()
        self.costs = costs
        self.steps: list[ToyStep] = []
        self.unread: set[int] = set()
        self.most_unread = 0

    @property
    def max_rows(self) -> int:
        return len(self.costs)

    def pass_cost(self, num_rows: int) -> float:
        return self.costs[num_rows - 1]

    def decode(self, after: int | Step, start: int, pages: Sequence[int], kv: KVStore) -> Step:
        if not isinstance(after, int):
            assert isinstance(after, ToyStep)
            after = after.chosen
        logits = self.forward([after], start, pages, kv, 1)
        step = ToyStep(self, int(logits[0].argmax()))
        self.steps.append(step)  # kept, so that no two have one id
        self.unread.add(id(step))
        self.most_unread = max(self.most_unread, len(self.unread))
        return step


def echoing_logits(seen: Sequence[int]) -> Tensor:
    """Toy logits that mostly go on as the text did after the last two tokens before."""
    logits = toy_logits(seen)
    places = [at for at in range(2, len(seen)) if seen[at - 2 : at] == seen[-2:]]
    if places and logits[97] < 1.5:
        logits[seen[places[-1]]] += 20
    return logits


def toy_logits(seen: Sequence[int]) -> Tensor:
    """Logits that are a hash of all tokens seen."""
    digest = hashlib.sha256(repr(list(seen)).encode()).digest()
    random = torch.Generator().manual_seed(int.from_bytes(digest[:7], "little"))
    logits = torch.full((TOKENIZER.vocab_size,), -30.0)
    logits[ALPHABET] = torch.randn(len(ALPHABET), generator=random) * 2
    # Every byte is possible, so that a required text can always be met.
    logits[:256] = torch.maximum(logits[:256], torch.full((256,), -20.0))
    return logits


@dataclass
class Toy:
    """A generator over a toy model, and what it has computed."""

    num_pages: int = 64
    page_len: int = 4
    chunk_len: int = 8
    context_len: int = 4096
    model: ToyModel = field(default_factory=ToyModel)
    lookup: bool = True
    background_chunk_len: int | None = None

    def __post_init__(self) -> None:
        store = self.model.new_kv(self.num_pages, self.page_len)
        self.cache = KVCache(store)
        self.generator = Generator(
            self.model,
            self.cache,
            store,
            VOCABULARY,
            self.chunk_len,
            self.context_len,
            background_chunk_len=self.background_chunk_len,
            lookup=self.lookup,
        )


@dataclass
class Record:
    """The events of one job."""

    events: list[Event] = field(default_factory=list)

    def emit(self, event: Event) -> bool:
        self.events.append(event)
        return False

    def tokens(self, index: int = 0) -> list[int]:
        return [
            event.choice.token_id
            for event in self.events
            if isinstance(event, Token) and event.index == index
        ]

    def data(self, index: int = 0) -> bytes:
        parts = (e.data for e in self.events if isinstance(e, Token) and e.index == index)
        return b"".join(parts)

    @property
    def done(self) -> Done:
        (done,) = (event for event in self.events if isinstance(event, Done))
        return done

    @property
    def failed(self) -> Failed:
        (failed,) = (event for event in self.events if isinstance(event, Failed))
        return failed

    def reasons(self) -> list[str]:
        return [event.reason for event in self.events if isinstance(event, Finished)]


def make_job(prompt: list[int], record: Record, max_tokens: int = 8, **changes: object) -> Job:
    fields: dict[str, object] = {
        "prompt": prompt,
        "emit": record.emit,
        "max_tokens": max_tokens,
        "stop_ids": TOKENIZER.stop_ids,
    }
    return Job(**{**fields, **changes})  # type: ignore[arg-type]


def run(toy: Toy, prompt: list[int], max_tokens: int = 8, **changes: object) -> Record:
    """Run one job to its end."""
    record = Record()
    for _ in toy.generator.run(make_job(prompt, record, max_tokens, **changes)):
        pass
    return record
