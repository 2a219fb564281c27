"""A loaded model with everything around it that a request needs."""

import os
import time
from dataclasses import dataclass, field

from inkling.config import EngineSettings
from inkling.engine.generate import Generator
from inkling.engine.kv import KVCache
from inkling.engine.metrics import Metrics
from inkling.engine.pick import Picked
from inkling.engine.scheduler import Scheduler
from inkling.engine.vocabulary import Vocabulary
from inkling.tokenizer import Tokenizer

PAGE_LEN = 16
# Tokens between two cancellation points of a prefill.
CHUNK_LEN = {"cpu": 128, "cuda": 512}


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
    """Give a model its KV cache and its thread, and start the thread."""
    model = picked.model
    longest = model.config.max_position_embeddings
    # A long context is not paid for unasked: 131,072 tokens of gpt-oss-20b are 6 GiB in fp16.
    context_len = min(settings.context_len or settings.kv_tokens, longest)
    # One request must always fit, with a page to spare for copy-on-write.
    num_pages = max(settings.kv_tokens, context_len) // PAGE_LEN + 2
    store = model.new_kv(num_pages, PAGE_LEN)
    cache = KVCache(store)
    chunk_len = CHUNK_LEN[picked.device]
    generator = Generator(model, cache, store, Vocabulary(picked.tokenizer), chunk_len, context_len)
    scheduler = Scheduler(generator.run)
    cache.make_room = scheduler.make_room
    scheduler.start()
    metrics = Metrics(picked.id, picked.kind, picked.device)
    return Serving(picked, cache, scheduler, metrics, context_len)
