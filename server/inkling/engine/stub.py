"""A model of canned text: no weights, no waiting. For work on editors and for measuring the rest.

It continues any prompt with the same short text, one token a step, and ends the turn after it.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from inkling.engine.model.base import KVStore
from inkling.engine.model.config import GptOssConfig
from inkling.engine.model.paged_kv import KVBits
from inkling.tokenizer import Tokenizer

TEXT = "stub_value = compute(1, 2)"
CONTEXT_LEN = 32_768


class _NoKV:
    """Pages without content."""

    bytes_per_token = 0

    def __init__(self, num_pages: int, page_len: int) -> None:
        self.num_pages = num_pages
        self.page_len = page_len

    def copy_page(self, src: int, dst: int) -> None:
        """Nothing to copy."""


class StubModel:
    """Answers `TEXT`, then the end of the turn: the next token follows from the last one alone."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        script = [*tokenizer.encode(TEXT), tokenizer.special["<|return|>"]]
        self._first = script[0]
        self._next = dict(pairwise(script))
        self.config = GptOssConfig(
            num_layers=0,
            hidden_size=0,
            intermediate_size=0,
            num_experts=0,
            experts_per_token=0,
            num_heads=0,
            num_kv_heads=0,
            head_dim=0,
            sliding_window=0,
            is_sliding=(),
            vocab_size=tokenizer.vocab_size,
            max_position_embeddings=CONTEXT_LEN,
            rms_norm_eps=0.0,
            swiglu_limit=0.0,
            rope_theta=0.0,
            yarn=None,
            tie_word_embeddings=False,
        )

    def new_kv(self, num_pages: int, page_len: int, bits: KVBits = 16) -> KVStore:
        return _NoKV(num_pages, page_len)

    def forward(
        self,
        token_ids: Sequence[int],
        start: int,
        pages: Sequence[int],
        kv: KVStore,
        num_logits: int,
    ) -> Tensor:
        """Logits that leave one choice for each of the last tokens."""
        logits = torch.zeros(num_logits, self.config.vocab_size)
        for row, token_id in enumerate(token_ids[len(token_ids) - num_logits :]):
            logits[row, self._next.get(token_id, self._first)] = 10.0
        return logits
