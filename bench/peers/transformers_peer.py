"""transformers' `GptOssForCausalLM` in bf16, random weights made where they are used: `generate()` as
called naively, and with the last request's cache cropped to the common prefix and handed in again.

Measured in process, without HTTP: from the token ids to a streamer's first and last token.
"""

import time
from pathlib import Path
from typing import Any

import torch

from .base import Shapes, Timing, common_len, module


class _Clock:
    """A streamer that notes when each token came. `generate()` gives it the prompt first."""

    def __init__(self) -> None:
        self.ids: list[int] = []
        self.times: list[float] = []
        self._has_prompt = False

    def put(self, value: torch.Tensor) -> None:
        if self._has_prompt:
            self.ids.append(int(value.item()))
            self.times.append(time.perf_counter())
        self._has_prompt = True

    def end(self) -> None:
        pass


class TransformersPeer:
    """With `reuses_cache`, what a careful caller does; without, what the documentation shows."""

    def __init__(self, *, reuses_cache: bool) -> None:
        self._reuses_cache = reuses_cache
        how = "cache cropped and reused" if reuses_cache else "as called naively"
        self.name = f"transformers bf16, {how}"
        self.max_keys: int | None = 60 if reuses_cache else 30

    def start(self, folder: Path | None, shapes: Shapes) -> None:
        transformers = module("transformers")
        config = transformers.GptOssConfig(
            num_hidden_layers=shapes.layers,
            hidden_size=shapes.hidden,
            intermediate_size=shapes.intermediate,
            num_attention_heads=shapes.heads,
            num_key_value_heads=shapes.kv_heads,
            head_dim=shapes.head_dim,
            num_local_experts=shapes.experts,
            num_experts_per_tok=shapes.experts_per_token,
            sliding_window=shapes.window,
            vocab_size=shapes.vocab,
        )
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        torch.manual_seed(0)
        torch.set_default_dtype(torch.bfloat16)
        with torch.device(self._device):
            self._model: Any = transformers.GptOssForCausalLM(config).eval()
        torch.set_default_dtype(torch.float32)
        self._model.generation_config.eos_token_id = None
        self._model.generation_config.pad_token_id = 0
        self._new_cache = transformers.DynamicCache
        self._cache: Any = self._new_cache()
        self._cached: list[int] = []  # the tokens whose keys and values are in the cache

    @torch.inference_mode()
    def complete(self, token_ids: list[int], max_tokens: int, healing: int) -> Timing:
        start = time.perf_counter()
        reused = 0
        if self._reuses_cache:
            # At least one token must be computed to get logits.
            reused = min(common_len(self._cached, token_ids), len(token_ids) - 1)
            if self._cached:
                self._cache.crop(reused - len(self._cached))
            else:
                self._cache = self._new_cache()
            self._cached = []  # should this request fail, its cache is not to be trusted
        else:
            self._cache = None
        ids = torch.tensor([token_ids], device=self._device)
        clock = _Clock()
        self._model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            past_key_values=self._cache,
            max_new_tokens=max_tokens,
            do_sample=False,
            streamer=clock,
        )
        if self._reuses_cache:
            self._cached = [*token_ids, *clock.ids][: self._cache.get_seq_length()]
        first, last = clock.times[0] - start, clock.times[-1] - start
        return Timing(first * 1000, last * 1000, len(clock.ids), reused)

    def close(self) -> None:
        del self._model, self._cache
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
