"""The engine over a GPU model: reuse, drafts and cancellations, with the demo model's weights."""

import random
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch

from inkling.engine.generate import Generator
from inkling.engine.gpu.load import load_gpu_weights
from inkling.engine.gpu.model import GpuModel
from inkling.engine.job import Done, Event, Job, Token
from inkling.engine.kv import KVCache
from inkling.engine.pick import demo_folder
from inkling.engine.sampling import Choice, Sampling
from inkling.engine.vocabulary import Vocabulary
from inkling.tokenizer import Tokenizer
from tests.gpu.report import Found

NUM_PAGES = 200
PAGE_LEN = 16
TRACES = 200
CANCELS = 1000
NEAR = 0.25  # log-probability


@dataclass
class Demo:
    """The demo model on the GPU, and jobs on it. Each has a store of its own."""

    tokenizer: Tokenizer = field(default_factory=lambda: Tokenizer.load(demo_folder()))

    def __post_init__(self) -> None:
        config, weights = load_gpu_weights(demo_folder(), torch.device("cuda"))
        self.model = GpuModel(config, weights)
        self.store = self.model.new_kv(NUM_PAGES, PAGE_LEN)
        self.vocabulary = Vocabulary(self.tokenizer)

    def generator(self, *, lookup: bool = True) -> tuple[Generator, KVCache]:
        """A generator with nothing resident."""
        cache = KVCache(self.store)
        longest = self.model.config.max_position_embeddings
        made = Generator(
            self.model, cache, self.store, self.vocabulary, 512, longest, lookup=lookup
        )
        return made, cache

    def job(
        self, prompt: list[int], max_tokens: int, logprobs: int | None = None
    ) -> tuple[Job, list[Event]]:
        """A greedy job and where its events go."""
        events: list[Event] = []

        def emit(event: Event) -> bool:
            events.append(event)
            return False

        sampling = Sampling(logprobs=logprobs)
        stop_ids = self.tokenizer.stop_ids
        return Job(prompt, emit, max_tokens, stop_ids, sampling, healing=2), events


def checks() -> Iterator[Found]:
    """All of them, on one loaded model."""
    demo = Demo()
    yield _warm_is_fresh(demo)
    yield _same_with_drafts(demo)
    yield _no_page_leaks(demo)


def _choices(generator: Generator, job: Job, events: list[Event]) -> list[Choice]:
    for _ in generator.run(job):
        pass
    return [event.choice for event in events if isinstance(event, Token)]


def _tokens(generator: Generator, job: Job, events: list[Event]) -> list[int]:
    return [choice.token_id for choice in _choices(generator, job, events)]


def _source(demo: Demo) -> list[int]:
    text = "\n".join(
        file.read_text(encoding="utf-8")
        for file in sorted(Path(__file__).resolve().parents[2].glob("server/inkling/*.py"))
    )
    return demo.tokenizer.encode(text)


def _warm_is_fresh(demo: Demo) -> Found:
    """Random edits of a text, each completed on a warm cache and on an empty one.

    Prefill and decoding are different kernels and round differently, so what was decoded before and
    is prefilled now may tip a choice between near equals: fails only if the one not taken was behind
    by more than NEAR in log-probability.
    """
    generator, _ = demo.generator()
    empty = Demo()  # with pages of its own: an empty cache on the warm one's would write over them
    chooser = random.Random(1)
    source = _source(demo)
    prompt = source[:300]
    num_tokens = 0
    leads: list[float] = []
    for _ in range(TRACES):
        cut = chooser.randrange(len(prompt) // 2, len(prompt) + 1)
        begin = chooser.randrange(len(source) - 40)
        prompt = (prompt[:cut] + source[begin : begin + chooser.randrange(1, 40)])[:900]
        warm = _choices(generator, *demo.job(prompt, 16, logprobs=2))
        fresh = _choices(empty.generator()[0], *demo.job(prompt, 16, logprobs=2))
        num_tokens += len(fresh)
        for one, other in zip(warm, fresh, strict=False):
            if one.token_id != other.token_id:
                leads.append(other.top[0][1] - other.top[1][1])
                break
    figures: dict[str, float | int | str | bool] = {
        "traces": TRACES,
        "tokens": num_tokens,
        "traces that differ": len(leads),
        "median and largest lead there": f"{statistics.median(leads or [0]):.1e} {max(leads or [0]):.1e}",
    }
    is_ok = max(leads, default=0.0) < NEAR
    return Found("warm is fresh but for near ties, random edit traces", is_ok, figures)


def _same_with_drafts(demo: Demo) -> Found:
    chooser = random.Random(2)
    source = _source(demo)
    num_different = drafted = accepted = 0
    for _ in range(50):
        begin = chooser.randrange(len(source) - 300)
        # Twice the same text, so that there is something to look up.
        prompt = source[begin : begin + 250] + source[begin : begin + chooser.randrange(50, 200)]
        job, events = demo.job(prompt, 48)
        with_drafts = _tokens(demo.generator()[0], job, events)
        done = next(event for event in events if isinstance(event, Done))
        drafted, accepted = drafted + done.usage.drafted, accepted + done.usage.accepted
        without = _tokens(demo.generator(lookup=False)[0], *demo.job(prompt, 48))
        num_different += with_drafts != without
    figures = {"prompts": 50, "drafted": drafted, "accepted": accepted, "differ": num_different}
    return Found("the same greedy tokens with drafts and without", num_different == 0, figures)


def _no_page_leaks(demo: Demo) -> Found:
    generator, cache = demo.generator()
    chooser = random.Random(3)
    source = _source(demo)
    for _ in range(CANCELS):
        begin = chooser.randrange(len(source) - 400)
        job, _events = demo.job(source[begin : begin + chooser.randrange(1, 400)], 12)
        steps = generator.run(job)
        for _ in range(chooser.randrange(8)):
            if next(steps, "over") == "over":
                break
        steps.close()
    cache.check_integrity()
    everything, events = demo.job(source[:1200], 1)
    _tokens(generator, everything, events)  # needs nearly all pages: a leaked one would show
    cache.check_integrity()
    is_ok = any(isinstance(event, Done) for event in events)
    return Found("no page leaks", is_ok, {"random cancels": CANCELS})
