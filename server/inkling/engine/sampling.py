"""Logits → token ids, on the device where the logits are: one copy to the host for each choice."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

# Probabilities as whole numbers: their sums do not depend on the order of adding.
_ONE = 2**52


@dataclass(frozen=True)
class Sampling:
    """`temperature` 0 is greedy; `top_p` keeps the likeliest tokens that make up this much;
    `logprobs` is how many alternatives to report, None for no log-probabilities at all."""

    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    logprobs: int | None = None

    @property
    def is_argmax(self) -> bool:
        """Whether the likeliest token's id is all that is asked for."""
        return self.temperature == 0 and self.logprobs is None


@dataclass(frozen=True)
class Choice:
    """A chosen token; `logprob` (None: not asked for) and the `top` alternatives (id, logprob)."""

    token_id: int
    logprob: float | None = None
    top: tuple[tuple[int, float], ...] = ()


class Sampler:
    """Chooses tokens by one `Sampling`. Reproducible for one seed on one kind of device; a model's
    own logits decide the log-probabilities reported, before temperature and constraints."""

    def __init__(self, sampling: Sampling, index: int, device: torch.device) -> None:
        """`index` tells the `n` completions of one request apart. Logits lie on `device`."""
        self._sampling = sampling
        self._random: torch.Generator | None = None
        if sampling.temperature > 0:
            self._random = torch.Generator(device)
            if sampling.seed is None:
                self._random.seed()
            else:
                self._random.manual_seed(sampling.seed + index)

    def choose(self, logits: Tensor, allowed: Tensor | None = None) -> Choice:
        """One token of `logits` `[vocab_size]` fp32, out of the `allowed` ids (int64) if given."""
        (choice,) = self.choose_each([(logits, allowed)])
        return choice

    def choose_each(self, rows: Sequence[tuple[Tensor, Tensor | None]]) -> list[Choice]:
        """One token of each of `rows`, as `choose` takes them; waits for the device once."""
        chosen = torch.stack([self._chosen(logits, allowed) for logits, allowed in rows])
        return [_choice(row) for row in chosen.tolist()]

    def _chosen(self, logits: Tensor, allowed: Tensor | None) -> Tensor:
        """fp64, which holds ids and fp32 exactly: the token's id; if asked for its log-probability,
        then the alternatives' ids and their log-probabilities."""
        if allowed is None:
            token_id = self._pick(logits)
        else:
            token_id = allowed.index_select(0, self._pick(logits.index_select(0, allowed)))
        if self._sampling.logprobs is None:
            return token_id.double()
        logprobs = logits.log_softmax(-1)
        values, ids = logprobs.topk(self._sampling.logprobs)
        parts = token_id, logprobs.index_select(0, token_id), ids, values
        return torch.cat([part.double() for part in parts])

    def _pick(self, scores: Tensor) -> Tensor:
        """Where the chosen one is in `scores`: int64 `[1]`."""
        if self._random is None:
            return scores.argmax(-1, keepdim=True)
        scores = scores.double() / self._sampling.temperature
        if self._sampling.top_p < 1:
            scores = _only_likeliest(scores, self._sampling.top_p)
        # The first of clocks that tick at these rates: a sample without a sum over all of them.
        waits = torch.empty_like(scores).exponential_(generator=self._random)
        return (scores - waits.log()).argmax(-1, keepdim=True)


def _only_likeliest(scores: Tensor, top_p: float) -> Tensor:
    """`scores` without those after the likeliest that make up `top_p`; the same bits every time."""
    ordered, order = scores.softmax(-1).sort(descending=True, stable=True)
    shares = (ordered * _ONE).long()
    before = shares.cumsum(0) - shares
    kept = torch.where(before < math.ceil(top_p * _ONE), 0.0, -math.inf)
    return scores + torch.empty_like(scores).scatter_(0, order, kept.to(scores.dtype))


def _choice(row: list[float]) -> Choice:
    token_id, *rest = row
    if not rest:
        return Choice(int(token_id))
    logprob, *top = rest
    ids, values = top[: len(top) // 2], top[len(top) // 2 :]
    return Choice(int(token_id), logprob, tuple(zip(map(int, ids), values, strict=True)))
