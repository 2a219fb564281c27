"""The engine over a GPU model: reuse, drafts and cancellations, with the demo model's weights."""

import random
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

import torch
from torch import Tensor

from inkling.engine.exl2 import load_checkpoint
from inkling.engine.generate import Generator
from inkling.engine.gpu import model
from inkling.engine.gpu.load import load_gpu_weights
from inkling.engine.gpu.model import GpuModel
from inkling.engine.gpu.step import Unsupported
from inkling.engine.job import Done, Event, Job, Token
from inkling.engine.kv import KVCache
from inkling.engine.model import reference
from inkling.engine.model.layer import norm
from inkling.engine.model.reference import GptOss
from inkling.engine.pick import demo_folder
from inkling.engine.sampling import Sampling
from inkling.engine.vocabulary import Vocabulary
from inkling.tokenizer import Tokenizer
from tests.gpu.report import Found, of_fused

NUM_PAGES = 200
PAGE_LEN = 16
TRACES = 200
CANCELS = 1000
COMPLETION_LEN = 16
NEAR = 0.1  # log-probability
# fp16's largest relative rounding, as a standard deviation: only norms are rounded here, and stand for all.
ROUNDING = 2**-11


@dataclass
class Demo:
    """The demo model on the GPU, and jobs on it. Each has a store of its own. `is_fused`: with the kernel
    for short passes where it can be had, or Triton alone."""

    is_fused: bool = True
    tokenizer: Tokenizer = field(default_factory=lambda: Tokenizer.load(demo_folder()))

    def __post_init__(self) -> None:
        config, weights = load_gpu_weights(demo_folder(), torch.device("cuda"))
        self.model = GpuModel(config, weights)
        kernel = nullcontext() if self.is_fused else patch.object(model, "StepPass", _refuse)
        with kernel:
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

    def job(self, prompt: list[int], max_tokens: int) -> tuple[Job, list[Event]]:
        """A greedy job that no token ends, and where its events go."""
        events: list[Event] = []

        def emit(event: Event) -> bool:
            events.append(event)
            return False

        return Job(prompt, emit, max_tokens, frozenset(), Sampling(), healing=2), events


def checks() -> Iterator[Found]:
    """All of them with the fused kernel, and what Triton must do where there is none."""
    demo = Demo()
    for check in (_warm_is_fresh, _same_with_drafts, _no_page_leaks):
        yield of_fused(demo.model, check(demo))
    yield _warm_is_fresh(Demo(is_fused=False))


def _refuse(*_: object) -> None:
    raise Unsupported("this check is of Triton's kernels")


def _tokens(generator: Generator, job: Job, events: list[Event]) -> list[int]:
    for _ in generator.run(job):
        pass
    return [event.choice.token_id for event in events if isinstance(event, Token)]


def _source(demo: Demo) -> list[int]:
    text = "\n".join(
        file.read_text(encoding="utf-8")
        for file in sorted(Path(__file__).resolve().parents[2].glob("server/inkling/*.py"))
    )
    return demo.tokenizer.encode(text)


def _warm_is_fresh(demo: Demo) -> Found:
    """Random edits of a text, each completed on a warm cache and on an empty one.

    Prefill and decoding are different kernels and round differently, so what was decoded before and
    is prefilled now may tip a choice. Fails if one differs for which rounding does not bring the two tokens within
    NEAR of each other (log-probability), or if more than one trace in twenty differs.
    """
    generator, _ = demo.generator()
    # With pages of its own: an empty cache on the warm one's would write over them.
    empty = Demo(demo.is_fused)
    oracle = load_checkpoint(demo_folder(), torch.device("cuda"))
    chooser = random.Random(1)
    source = _source(demo)
    prompt = source[:300]
    leads: list[float] = []
    nearest: list[float] = []
    for _ in range(TRACES):
        cut = chooser.randrange(len(prompt) // 2, len(prompt) + 1)
        begin = chooser.randrange(len(source) - 40)
        prompt = (prompt[:cut] + source[begin : begin + chooser.randrange(1, 40)])[:900]
        warm = _continued(demo, generator, prompt)
        fresh = _continued(empty, empty.generator()[0], prompt)
        if warm != fresh:
            lead, *others = _leads(oracle, warm, fresh)
            leads.append(abs(lead))
            nearest.append(max(0.0, min(others)) if lead > 0 else max(0.0, -max(others)))
    figures: dict[str, float | int | str | bool] = {
        "traces": TRACES,
        "tokens": TRACES * COMPLETION_LEN,
        "traces that differ": len(leads),
        "leads there in fp32": " ".join(f"{lead:.3f}" for lead in leads),
        "the least of them when rounded": " ".join(f"{lead:.3f}" for lead in nearest),
    }
    is_ok = max(nearest, default=0.0) < NEAR and len(leads) <= TRACES // 20
    kernels = "fused kernel" if demo.is_fused else "Triton alone"
    return Found(f"warm is fresh but for rounding ({kernels})", is_ok, figures)


def _continued(demo: Demo, generator: Generator, prompt: list[int]) -> list[int]:
    """The prompt as far as its last tokens were not chosen again, and the completion."""
    job, events = demo.job(prompt, COMPLETION_LEN)
    token_ids = _tokens(generator, job, events)
    written = sum(len(event.data) for event in events if isinstance(event, Token))
    num_repeated = sum(len(demo.vocabulary.token_bytes(id_)) for id_ in token_ids) - written
    kept = len(prompt)
    while num_repeated > 0:
        kept -= 1
        num_repeated -= len(demo.vocabulary.token_bytes(prompt[kept]))
    return prompt[:kept] + token_ids


def _leads(oracle: GptOss[Tensor], warm: list[int], fresh: list[int]) -> list[float]:
    """How much the fp32 reference prefers fresh's token over warm's where they first differ, in
    log-probability; then the same with some random roundings of what comes out of each norm.
    """
    pairs = enumerate(zip(warm, fresh, strict=False))
    at = next(index for index, (one, other) in pairs if one != other)
    pages = range(len(fresh) // PAGE_LEN + 1)
    kv = oracle.new_kv(len(pages), PAGE_LEN)

    def lead() -> float:
        logits = oracle.forward(fresh[:at], 0, pages, kv, 1)[0]
        return float(logits[fresh[at]] - logits[warm[at]])

    def rounded(x: Tensor, weight: Tensor, eps: float) -> Tensor:
        normed = norm(x, weight, eps)
        return normed * (1 + ROUNDING * torch.randn_like(normed))

    torch.manual_seed(0)
    exact = lead()
    with patch.object(reference, "norm", rounded):
        return [exact, *(lead() for _ in range(32))]


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
    is_ok = num_different == 0 and accepted > 0
    figures = {"prompts": 50, "drafted": drafted, "accepted": accepted, "differ": num_different}
    return Found("the same greedy tokens with drafts and without", is_ok, figures)


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
