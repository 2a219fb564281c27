"""One completion on its way out of the engine, and what its request has cost."""

import time

from inkling.core import Usage
from inkling.engine.job import Begun, Finished, Job, Token
from inkling.engine.sampling import Choice
from inkling.engine.vocabulary import Vocabulary


class Counts:
    """What a job has cost so far."""

    def __init__(self, job: Job, num_reused: int) -> None:
        self._job = job
        self._num_reused = num_reused
        self.num_tokens = 0
        self._num_drafted = 0
        self._num_accepted = 0
        self._ttft_ms = 0.0

    def add_token(self) -> None:
        if not self.num_tokens:
            self._ttft_ms = (time.monotonic() - self._job.received) * 1000
        self.num_tokens += 1

    def add_draft(self, num_drafted: int, num_accepted: int) -> None:
        self._num_drafted += num_drafted
        self._num_accepted += num_accepted

    def usage(self) -> Usage:
        num_prompt = len(self._job.prompt)
        return Usage(
            prompt_tokens=num_prompt,
            completion_tokens=self.num_tokens,
            reused=self._num_reused,
            prefilled=num_prompt - self._num_reused,
            drafted=self._num_drafted,
            accepted=self._num_accepted,
            ttft_ms=round(self._ttft_ms, 3),
        )


class Output:
    """One completion on its way out."""

    def __init__(
        self,
        job: Job,
        index: int,
        required: bytes,
        num_left: int,
        vocabulary: Vocabulary,
        counted: Counts,
    ) -> None:
        """`required`: bytes that its first tokens only repeat. `num_left`: most tokens of it."""
        self._job = job
        self._index = index
        self._vocabulary = vocabulary
        self.required = required
        self.num_left = num_left
        self.counted = counted

    def add(self, choice: Choice) -> bool:
        """Emit one more token. True: it is the last, and `Finished` is out too."""
        self.num_left -= 1
        self.counted.add_token()
        if choice.token_id in self._job.stop_ids:
            return self._finish("stop")
        data = self._vocabulary.token_bytes(choice.token_id)
        self.required, data = self.required[len(data) :], data[len(self.required) :]
        is_stopped = self._job.emit(Token(self._index, choice, data))
        if self.counted.num_tokens == 1:
            self._job.emit(Begun(self.counted.usage()))
        if is_stopped:
            return self._finish("stop")
        if self.num_left <= 0:
            return self._finish("length")
        return False

    def _finish(self, reason: str) -> bool:
        self._job.emit(Finished(self._index, reason))
        return True
