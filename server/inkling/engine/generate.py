"""One job from prompt to last token: a generator that yields where it may be paused or dropped."""

import time
from collections.abc import Generator as Steps
from itertools import takewhile

from torch import Tensor

from inkling.core import Usage
from inkling.engine.job import Done, Finished, Job, Token
from inkling.engine.kv import KVCache, Sequence
from inkling.engine.model.base import KVStore, Model
from inkling.engine.sampling import Choice, Sampler
from inkling.engine.vocabulary import Vocabulary


class Generator:
    """Runs jobs on one model and one KV cache. Engine thread only."""

    def __init__(
        self,
        model: Model,
        cache: KVCache,
        store: KVStore,
        vocabulary: Vocabulary,
        chunk_len: int,
        context_len: int,
    ) -> None:
        """`chunk_len`: most tokens of one prefill pass, and so the longest time to a cancel.
        `context_len`: most tokens of a prompt and its completion together."""
        self._model = model
        self._cache = cache
        self._store = store
        self._vocabulary = vocabulary
        self._chunk_len = chunk_len
        self._context_len = context_len

    def run(self, job: Job) -> Steps[None, None, None]:
        """Steps of one job: each `next` is one prefill chunk or one decode step.

        Closing the iterator ends the job; what it computed stays resident.
        """
        # The last tokens' logits are needed: as many as may be chosen again, and the next one's.
        num_logits = self._healed_len(job) + 1 if job.max_tokens else 0
        sequence = self._cache.open(job.prompt, len(job.prompt) - num_logits)
        try:
            logits = None
            while len(sequence) < len(job.prompt):
                logits = self._prefill(sequence, job.prompt, num_logits)
                yield
            self._cache.remember(sequence)
            counted = _Counts(job, sequence.num_reused)
            if logits is not None and num_logits:
                for index in range(job.n):
                    is_last = index == job.n - 1
                    own = sequence if is_last else self._cache.fork(sequence)
                    try:
                        yield from self._complete(job, index, own, logits, counted)
                    finally:
                        if not is_last:
                            self._cache.close(own)
            job.emit(Done(counted.usage()))
        finally:
            self._cache.close(sequence)

    def _healed_len(self, job: Job) -> int:
        """How many of the prompt's last tokens may be chosen again: only tokens that stand for
        bytes. A special token says nothing of what must come in its place."""
        end = job.prompt[max(1, len(job.prompt) - job.healing) :]
        return sum(1 for _ in takewhile(self._vocabulary.token_bytes, reversed(end)))

    def _prefill(self, sequence: Sequence, prompt: list[int], num_logits: int) -> Tensor | None:
        """One chunk of the prompt; the logits if it is the last one. The tokens whose logits are
        needed go through together."""
        start = len(sequence)
        remaining = len(prompt) - start
        is_last = remaining <= max(self._chunk_len, num_logits)
        count = remaining if is_last else min(self._chunk_len, remaining - num_logits)
        logits = self._forward(
            sequence, prompt[start : start + count], num_logits if is_last else 0
        )
        return logits if is_last else None

    def _complete(
        self, job: Job, index: int, sequence: Sequence, logits: Tensor, counted: "_Counts"
    ) -> Steps[None, None, None]:
        """Choose tokens until one ends the completion. `logits`: of the healed tokens and the next."""
        sampler = Sampler(job.sampling, index)
        choice, required = self._heal(job, sequence, logits, sampler)
        num_tokens = 0
        while True:
            num_tokens += 1
            counted.add_token()
            if choice.token_id in job.stop_ids:
                job.emit(Finished(index, "stop"))
                return
            data = self._vocabulary.token_bytes(choice.token_id)
            required, data = required[len(data) :], data[len(required) :]
            if job.emit(Token(index, choice, data)):
                job.emit(Finished(index, "stop"))
                return
            if num_tokens >= job.max_tokens or len(sequence) + 1 >= self._context_len:
                job.emit(Finished(index, "length"))
                return
            step = self._forward(sequence, [choice.token_id], 1)
            yield
            choice = sampler.choose(step[0], self._allowed(required))

    def _heal(
        self, job: Job, sequence: Sequence, logits: Tensor, sampler: Sampler
    ) -> tuple[Choice, bytes]:
        """Choose the prompt's last tokens again, and the first new one; the bytes still required.

        Works like checking a draft: as long as the choice is the prompt's own token, its KV is
        there already.
        """
        num_healed = logits.shape[0] - 1
        start = len(job.prompt) - num_healed
        own = job.prompt[start:]
        required = b"".join(map(self._vocabulary.token_bytes, own))
        for position, token_id in enumerate(own):
            choice = sampler.choose(logits[position], self._allowed(required))
            if choice.token_id != token_id:
                self._cache.truncate(sequence, start + position)
                return choice, required
            required = required[len(self._vocabulary.token_bytes(token_id)) :]
        return sampler.choose(logits[num_healed]), b""

    def _allowed(self, required: bytes) -> Tensor | None:
        return self._vocabulary.allowed(required) if required else None

    def _forward(self, sequence: Sequence, token_ids: list[int], num_logits: int) -> Tensor:
        self._cache.reserve(sequence, len(token_ids))
        logits = self._model.forward(
            token_ids, len(sequence), sequence.pages, self._store, num_logits
        )
        self._cache.append(sequence, token_ids)
        return logits


class _Counts:
    """What a job has cost so far."""

    def __init__(self, job: Job, num_reused: int) -> None:
        self._job = job
        self._num_reused = num_reused
        self._num_tokens = 0
        self._ttft_ms = 0.0

    def add_token(self) -> None:
        if not self._num_tokens:
            self._ttft_ms = (time.monotonic() - self._job.received) * 1000
        self._num_tokens += 1

    def usage(self) -> Usage:
        num_prompt = len(self._job.prompt)
        return Usage(
            prompt_tokens=num_prompt,
            completion_tokens=self._num_tokens,
            reused=self._num_reused,
            prefilled=num_prompt - self._num_reused,
            ttft_ms=round(self._ttft_ms, 3),
        )
