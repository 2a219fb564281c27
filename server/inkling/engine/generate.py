"""One job from prompt to last token: a generator that yields where it may be paused or dropped."""

from collections.abc import Generator as Steps
from dataclasses import dataclass
from itertools import takewhile

import torch
from torch import Tensor

from inkling.core import Priority
from inkling.engine.job import Done, Job
from inkling.engine.kv import KVCache, Sequence
from inkling.engine.lookup import Lookup, Odds
from inkling.engine.model.base import Decoder, KVStore, Model, Step
from inkling.engine.output import Counts, Output
from inkling.engine.recent_logits import RecentLogits
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
        *,
        background_chunk_len: int | None = None,
        lookup: bool = True,
    ) -> None:
        """`chunk_len`: most tokens of one prefill pass, and so the longest time to a cancel.
        `background_chunk_len`: the same for a job that is not a key's and must make room for one; None:
        no less.
        `context_len`: most tokens of a prompt and its completion together. `lookup`: draft from the
        text so far where the model makes it pay; the tokens are the same without."""
        self._model = model
        self._decoder = model if isinstance(model, Decoder) else None
        self._cache = cache
        self._store = store
        self._vocabulary = vocabulary
        self._chunk_len = chunk_len
        self._background_chunk_len = background_chunk_len or chunk_len
        self._context_len = context_len
        self._recent = RecentLogits()
        self._odds: Odds | None = None
        if lookup and self._decoder is not None and self._decoder.max_rows > 1:
            sizes = range(1, self._decoder.max_rows + 1)
            self._odds = Odds([self._decoder.pass_cost(size) for size in sizes])

    def run(self, job: Job) -> Steps[None, None, None]:
        """Steps of one job: each `next` is one prefill chunk or one decode step.

        Closing the iterator ends the job; what it computed stays resident.
        """
        num_healed = self._healed_len(job)
        known = self._known_start(job, num_healed)
        if known is not None:
            sequence = self._cache.open(job.prompt, known.length)
            try:
                if len(sequence) == known.length:
                    counted = Counts(job, len(job.prompt))
                    sampler = Sampler(job.sampling, 0, known.device)
                    yield from self._write(job, 0, sequence, known, sampler, counted)
                    job.emit(Done(counted.usage()))
                    return
            finally:
                self._cache.close(sequence)
        yield from self._run_whole(job, num_healed)

    def _run_whole(self, job: Job, num_healed: int) -> Steps[None, None, None]:
        """Steps of a job whose prompt's end is computed."""
        # The last tokens' logits are needed: as many as may be chosen again, and the next one's.
        num_logits = num_healed + 1 if job.max_tokens else 0
        sequence = self._cache.open(job.prompt, len(job.prompt) - num_logits)
        try:
            logits = None
            while len(sequence) < len(job.prompt):
                logits = self._prefill(sequence, job, num_logits)
                yield
            self._cache.remember(sequence)
            counted = Counts(job, sequence.num_reused)
            if logits is not None and num_logits:
                self._recent.add(job.prompt, logits)
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

    def _known_start(self, job: Job, num_healed: int) -> "_Start | None":
        """How the completion starts, where the logits of earlier passes tell. Not for samples: those
        draw as often as there are logits, so that a seed would give another text."""
        if job.sampling.temperature > 0 or job.n > 1 or not job.max_tokens:
            return None
        rows = []
        for length in range(len(job.prompt) - num_healed, len(job.prompt) + 1):
            row = self._recent.after(job.prompt, length)
            if row is None:
                break
            rows.append(row)
        if not rows:
            return None
        return self._rechosen(job, rows, num_healed, Sampler(job.sampling, 0, rows[0].device))

    def _healed_len(self, job: Job) -> int:
        """How many of the prompt's last tokens may be chosen again: only tokens that stand for
        bytes. A special token says nothing of what must come in its place."""
        end = job.prompt[max(1, len(job.prompt) - job.healing) :]
        return sum(1 for _ in takewhile(self._vocabulary.token_bytes, reversed(end)))

    def _prefill(self, sequence: Sequence, job: Job, num_logits: int) -> Tensor | None:
        """One chunk of the prompt; the logits if it is the last one. The tokens whose logits are
        needed go through together."""
        is_urgent = job.priority is Priority.INTERACTIVE
        chunk_len = self._chunk_len if is_urgent else self._background_chunk_len
        start = len(sequence)
        remaining = len(job.prompt) - start
        is_last = remaining <= max(chunk_len, num_logits)
        count = remaining if is_last else min(chunk_len, remaining - num_logits)
        logits = self._forward(
            sequence, job.prompt[start : start + count], num_logits if is_last else 0
        )
        return logits if is_last else None

    def _complete(
        self, job: Job, index: int, sequence: Sequence, logits: Tensor, counted: Counts
    ) -> Steps[None, None, None]:
        """Choose tokens until one ends the completion. `logits`: of the healed tokens and the next.

        Works like checking a draft: as long as the choice is the prompt's own token, its KV is there
        already.
        """
        sampler = Sampler(job.sampling, index, logits.device)
        start = self._rechosen(job, list(logits), len(logits) - 1, sampler)
        assert start is not None
        self._cache.truncate(sequence, start.length)
        yield from self._write(job, index, sequence, start, sampler, counted)

    def _write(
        self,
        job: Job,
        index: int,
        sequence: Sequence,
        start: "_Start",
        sampler: Sampler,
        counted: Counts,
    ) -> Steps[None, None, None]:
        """Go on from `start`, whose KV the sequence holds, to the completion's end."""
        choice = start.choice
        num_left = min(job.max_tokens, self._context_len - len(sequence))
        output = Output(job, index, start.required, num_left, self._vocabulary, counted)
        is_over = output.add(choice)
        while not is_over:
            if self._decoder and job.sampling.is_argmax and not output.required:
                yield from self._decode(self._decoder, sequence, choice.token_id, output)
                return
            logits = self._forward(sequence, [choice.token_id], 1)
            choice = sampler.choose(logits[0], self._allowed(output.required, logits))
            is_over = output.add(choice)
            yield

    def _decode(
        self, decoder: Decoder, sequence: Sequence, token_id: int, output: Output
    ) -> Steps[None, None, None]:
        """Choose greedily what follows `token_id`, one step ahead of the host.

        A step's KV is claimed when its token is known and wanted. What a step in flight writes
        after the last token that is wanted stays unclaimed, in a page that is the sequence's own.
        """
        step: Step | None = self._start(decoder, sequence, token_id)
        lookup = Lookup([*sequence.token_ids, token_id], self._odds) if self._odds else None
        while True:
            yield
            # With a draft at hand no step is started ahead: the one in flight checks its first
            # token, and a pass the rest.
            draft = lookup.draft(output.num_left - 1) if lookup else []
            if draft and step is None:
                chosen = self._verify(sequence, token_id, draft, output.counted)
            else:
                if step is None:
                    step = self._start(decoder, sequence, token_id)
                ahead = None
                if output.num_left > 1 and not draft:
                    ahead = self._start(decoder, sequence, step, num_unclaimed=1)
                chosen = [step.token_id()]
                self._cache.append(sequence, [token_id])
                step = ahead
            for chosen_id in chosen:
                if output.add(Choice(chosen_id)):
                    return
                if lookup:
                    lookup.add(chosen_id)
            token_id = chosen[-1]

    def _start(
        self, decoder: Decoder, sequence: Sequence, after: int | Step, num_unclaimed: int = 0
    ) -> Step:
        """Give the device a step for the position after the sequence's and `num_unclaimed` more."""
        self._cache.reserve(sequence, num_unclaimed + 1)
        return decoder.decode(after, len(sequence) + num_unclaimed, sequence.pages, self._store)

    def _verify(
        self, sequence: Sequence, token_id: int, draft: list[int], counted: Counts
    ) -> list[int]:
        """What follows `token_id` as far as one pass over a draft of it tells: a token at least."""
        logits = self._forward(sequence, [token_id, *draft], 1 + len(draft))
        chosen: list[int] = logits.argmax(-1).tolist()
        agreeing = takewhile(lambda pair: pair[0] == pair[1], zip(draft, chosen, strict=False))
        num_accepted = sum(1 for _ in agreeing)
        # The KV of what was accepted is what decode steps would have written.
        self._cache.truncate(sequence, len(sequence) - len(draft) + num_accepted)
        counted.add_draft(len(draft), num_accepted)
        return chosen[: num_accepted + 1]

    def _rechosen(
        self, job: Job, rows: list[Tensor], num_healed: int, sampler: Sampler
    ) -> "_Start | None":
        """Choose the prompt's last `num_healed` tokens again, and the first new one; None if `rows`, the
        logits `[vocab_size]` from the first of them on, do not reach to one that is not the prompt's own.

        All are chosen at once, as if each one before were the prompt's own.
        """
        length = len(job.prompt) - num_healed
        own = job.prompt[length:]
        data = [self._vocabulary.token_bytes(token_id) for token_id in own]
        required = [b"".join(data[position:]) for position in range(len(rows))]
        allowed = [self._allowed(it, row) for it, row in zip(required, rows, strict=True)]
        choices = sampler.choose_each(list(zip(rows, allowed, strict=True)))
        for position, choice in enumerate(choices):
            if position == num_healed or choice.token_id != own[position]:
                return _Start(length + position, choice, required[position], rows[0].device)
        return None

    def _allowed(self, required: bytes, logits: Tensor) -> Tensor | None:
        return self._vocabulary.allowed(required, logits.device) if required else None

    def _forward(self, sequence: Sequence, token_ids: list[int], num_logits: int) -> Tensor:
        self._cache.reserve(sequence, len(token_ids))
        logits = self._model.forward(
            token_ids, len(sequence), sequence.pages, self._store, num_logits
        )
        self._cache.append(sequence, token_ids)
        return logits


@dataclass(frozen=True)
class _Start:
    """How a completion starts: behind the first `length` tokens of the prompt with `choice`. Its first
    bytes are `required`, for they stand in the prompt's place."""

    length: int
    choice: Choice
    required: bytes
    device: torch.device
