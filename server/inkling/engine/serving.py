"""A loaded model with everything around it that a request needs."""

import os
import time
from dataclasses import dataclass, field

import torch

from inkling.config import EngineSettings
from inkling.engine.budget import PAGE_LEN, context_len, num_pages
from inkling.engine.generate import Generator
from inkling.engine.kv import KVCache
from inkling.engine.metrics import Metrics
from inkling.engine.pick import Picked
from inkling.engine.scheduler import Scheduler
from inkling.engine.vocabulary import Vocabulary
from inkling.errors import TooLarge
from inkling.tokenizer import Tokenizer

# Tokens between two cancellation points of a prefill: of a key's request, and of one that a key pushes
# aside, which must be off the GPU within 10 ms.
CHUNK_LEN = {"cpu": 128, "cuda": 512}
BACKGROUND_CHUNK_LEN = {"cpu": 128, "cuda": 128}


@dataclass
class Serving:
    """What the routes share. `num_running` and `last_request` (monotonic seconds) tell idleness."""

    picked: Picked
    cache: KVCache
    scheduler: Scheduler
    metrics: Metrics
    context_len: int
    pid: int = field(default_factory=os.getpid)
    num_running: int = 0
    last_request: float = field(default_factory=time.monotonic)

    @property
    def tokenizer(self) -> Tokenizer:
        return self.picked.tokenizer


def make_serving(picked: Picked, settings: EngineSettings) -> Serving:
    """Give a model its KV cache and its thread, and start the thread.

    Raises TooLarge.
    """
    model = picked.model
    longest = model.config.max_position_embeddings
    is_demo_on_cpu = (picked.kind, picked.device) == ("demo", "cpu")
    limit = context_len(settings, longest, is_demo_on_cpu=is_demo_on_cpu)
    try:
        store = model.new_kv(num_pages(settings, longest), PAGE_LEN, settings.kv_bits)
    except torch.OutOfMemoryError as error:
        smaller = ", or set engine.kv_bits to 8" if settings.kv_bits == 16 else ""
        raise TooLarge(
            f"The GPU has no room for {settings.kv_tokens} tokens of KV cache beside the model: end"
            f" other programs that use it, or lower engine.kv_tokens{smaller}."
        ) from error
    cache = KVCache(store)
    generator = Generator(
        model,
        cache,
        store,
        Vocabulary(picked.tokenizer),
        CHUNK_LEN[picked.device],
        limit,
        background_chunk_len=BACKGROUND_CHUNK_LEN[picked.device],
    )
    scheduler = Scheduler(generator.run)
    cache.make_room = scheduler.make_room
    scheduler.start()
    metrics = Metrics(picked.id, picked.kind, picked.device)
    return Serving(picked, cache, scheduler, metrics, limit)
