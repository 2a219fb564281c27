"""Which tokens agree with a text that must come first (healing), fast for 200,000 tokens."""

from bisect import bisect_left
from functools import lru_cache

from inkling.tokenizer import Tokenizer


class Vocabulary:
    """The bytes of every token, sorted. Immutable."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.token_bytes = tokenizer.token_bytes
        self.vocab_size = tokenizer.vocab_size
        pairs = ((tokenizer.token_bytes(id_), id_) for id_ in range(tokenizer.vocab_size))
        self._sorted = sorted(pair for pair in pairs if pair[0])
        self._id_of = dict(self._sorted)
        self.allowed = lru_cache(maxsize=256)(self._allowed)

    def _allowed(self, required: bytes) -> tuple[int, ...]:
        """Ids of the tokens that `required` begins with or that begin with `required`."""
        start = bisect_left(self._sorted, (required,))
        end = bisect_left(self._sorted, (_successor(required),)) if _successor(required) else None
        longer = [id_ for _, id_ in self._sorted[start:end]]
        shorter = [
            self._id_of[required[:length]]
            for length in range(1, len(required))
            if required[:length] in self._id_of
        ]
        return tuple(shorter + longer)


def _successor(prefix: bytes) -> bytes:
    """The smallest bytes greater than everything that begins with `prefix`, b"" for none."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes([stripped[-1] + 1]) if stripped else b""
