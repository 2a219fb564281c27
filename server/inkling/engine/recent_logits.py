"""The logits behind the ends of the last prompts: the next key asks for most of them again.

A key within a word changes the last token and nothing before it. What may stand in that token's place was
known at the key before, so that the first token needs no pass of the model at all.
"""

from collections import OrderedDict
from itertools import count

from torch import Tensor

# Of 201,088 fp32 logits each: 19 MB.
MAX_ROWS = 24


class RecentLogits:
    """Owns the logits of some passes over prompts' ends, the least recently used forgotten first."""

    def __init__(self) -> None:
        self._passes: OrderedDict[int, tuple[list[int], Tensor]] = OrderedDict()
        self._numbers = count()

    def add(self, prompt: list[int], logits: Tensor) -> None:
        """Keep `logits` `[n, vocab_size]`, which follow the last `n` tokens of `prompt`."""
        self._passes[next(self._numbers)] = (prompt, logits)
        while sum(len(rows) for _, rows in self._passes.values()) > MAX_ROWS:
            self._passes.popitem(last=False)

    def after(self, prompt: list[int], length: int) -> Tensor | None:
        """The logits `[vocab_size]` of what follows the first `length` tokens of `prompt`; None if they
        are not known."""
        for number, (known, rows) in reversed(self._passes.items()):
            row = length - (len(known) - len(rows) + 1)
            if 0 <= row < len(rows) and known[:length] == prompt[:length]:
                self._passes.move_to_end(number)
                return rows[row]
        return None
