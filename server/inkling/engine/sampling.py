"""Logits → one token id."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Sampling:
    """`temperature` 0 is greedy; `top_p` keeps the likeliest tokens that make up this much;
    `logprobs` is how many alternatives to report, None for no log-probabilities at all."""

    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    logprobs: int | None = None


@dataclass(frozen=True)
class Choice:
    """A chosen token; `logprob` (None: not asked for) and the `top` alternatives (id, logprob)."""

    token_id: int
    logprob: float | None = None
    top: tuple[tuple[int, float], ...] = ()


class Sampler:
    """Chooses tokens by one `Sampling`. Reproducible for one seed; a model's own logits decide the
    log-probabilities reported, before temperature and constraints."""

    def __init__(self, sampling: Sampling, index: int = 0) -> None:
        """`index` tells the `n` completions of one request apart."""
        self._sampling = sampling
        self._random = torch.Generator()
        if sampling.seed is None:
            self._random.seed()
        else:
            self._random.manual_seed(sampling.seed + index)

    def choose(self, logits: Tensor, allowed: Tensor | None = None) -> Choice:
        """One token of `logits` `[vocab_size]` fp32, out of the `allowed` ids (int64) if given."""
        candidates = None
        scores = logits
        if allowed is not None:
            candidates = allowed.to(logits.device)
            scores = logits.index_select(0, candidates)
        picked = self._pick(scores)
        token_id = int(picked if candidates is None else candidates[picked])
        if self._sampling.logprobs is None:
            return Choice(token_id)
        logprobs = logits.log_softmax(-1)
        values, ids = logprobs.topk(self._sampling.logprobs)
        top = tuple(zip(ids.tolist(), values.tolist(), strict=True))
        return Choice(token_id, float(logprobs[token_id]), top)

    def _pick(self, scores: Tensor) -> int:
        sampling = self._sampling
        if sampling.temperature == 0:
            return int(scores.argmax())
        probabilities = (scores.double() / sampling.temperature).softmax(-1).cpu()
        if sampling.top_p < 1:
            ordered, order = probabilities.sort(descending=True)
            before = ordered.cumsum(0) - ordered
            probabilities[order[before >= sampling.top_p]] = 0
        return int(torch.multinomial(probabilities, 1, generator=self._random))
