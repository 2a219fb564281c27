"""Prompt lookup: what follows the last tokens may be what followed them before, earlier in the text.

A draft found so needs no model, but a pass over it takes longer than a decode step: `Odds` says when
it pays.
"""

from array import array
from collections.abc import Iterable, Sequence

# How many last tokens must stand elsewhere too; the longest match is the best one.
_LENGTHS = (4, 3, 2)
# Tokens looked through, the latest ones: half a millisecond at the worst, a tenth of it mostly.
_WINDOW = 16_384
_TOKEN = "I"  # as bytes, which can be searched much faster than lists, and need no index
_SIZE = array(_TOKEN).itemsize

# Matches of more tokens than this are one class.
_LONGEST = 16
# What a new observation counts against all older ones.
_WEIGHT = 1 / 16
# A draft must promise this much more than decode steps of the same time, which need no waiting.
_WORTHWHILE = 1.1


class Odds:
    """How often a match's next token is right, by the match's length, and so what a draft is worth.

    Learnt from all tokens, drafted or not: after a miss it drafts less, and plain decode steps tell
    it when drafting would pay again, without trying.
    """

    def __init__(self, costs: Sequence[float]) -> None:
        """`costs[k]`: the time of a pass with a draft of `k` tokens, relative to a decode step's."""
        self._costs = tuple(costs)
        self._rates = [0.5] * (_LONGEST + 1)

    def observe(self, length: int, is_right: bool) -> None:
        """After a match of `length` tokens the next one was, or was not, the one after it."""
        at = min(length, _LONGEST)
        self._rates[at] += _WEIGHT * (is_right - self._rates[at])

    def draft_len(self, length: int, limit: int) -> int:
        """How many tokens to draft after a match of `length`, `limit` at most; 0: none."""
        best, best_speed = 0, _WORTHWHILE
        chance = expected = 1.0  # that all so far are right; tokens that the pass brings
        for drafted in range(1, min(limit, len(self._costs) - 1) + 1):
            chance *= self._rates[min(length + drafted - 1, _LONGEST)]
            expected += chance
            if expected / self._costs[drafted] > best_speed:
                best, best_speed = drafted, expected / self._costs[drafted]
        return best


class Lookup:
    """One completion's text so far, its prompt included, and where its last tokens stood before."""

    def __init__(self, token_ids: Iterable[int], odds: Odds) -> None:
        """`odds` learn from what comes."""
        self._odds = odds
        self._text = bytearray(array(_TOKEN, token_ids).tobytes())
        self._length = 0  # of the match, 0: none
        self._next = 0  # the offset of the token after it
        self._find()

    def add(self, token_id: int) -> None:
        """One more token of the text."""
        token = array(_TOKEN, (token_id,)).tobytes()
        is_right = False
        if self._length:
            is_right = self._text.startswith(token, self._next)
            self._odds.observe(self._length, is_right)
        self._text += token
        if is_right:
            self._length += 1
            self._next += _SIZE
        else:
            self._find()

    def draft(self, limit: int) -> list[int]:
        """The tokens, `limit` at most, that are worth a pass; none where decode steps are better."""
        if not self._length:
            return []
        limit = min(limit, (len(self._text) - self._next) // _SIZE)
        end = self._next + self._odds.draft_len(self._length, limit) * _SIZE
        return array(_TOKEN, bytes(self._text[self._next : end])).tolist()

    def _find(self) -> None:
        """The latest place of as many of the last tokens as stand elsewhere."""
        start = max(0, len(self._text) - _WINDOW * _SIZE)
        for length in _LENGTHS:
            wanted = self._text[-length * _SIZE :]
            end = len(self._text) - _SIZE
            at = self._text.rfind(wanted, start, end)
            while at > 0 and at % _SIZE:  # the end of one token and the beginning of another
                at = self._text.rfind(wanted, start, at + len(wanted) - 1)
            if at >= 0:
                self._length, self._next = length, at + len(wanted)
                return
        self._length = 0
