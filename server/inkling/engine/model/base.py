"""What the engine asks of a model. The reference, faster paths and toy models for tests all fit."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from torch import Tensor

from inkling.engine.model.config import GptOssConfig
from inkling.engine.model.paged_kv import KVBits


class KVStore(Protocol):
    """Keys and values of every layer, in pages of `page_len` positions.

    Which page holds what is the caller's business: a store only keeps the bytes.
    """

    @property
    def num_pages(self) -> int:
        """Pages the store was made for."""
        ...

    @property
    def page_len(self) -> int:
        """Positions (tokens) of one page."""
        ...

    @property
    def bytes_per_token(self) -> int:
        """Bytes one position takes over all layers, keys and values together."""
        ...

    def copy_page(self, src: int, dst: int) -> None:
        """Make page `dst` hold what page `src` holds, in all layers."""
        ...


class Model(Protocol):
    """A decoder whose keys and values live in a `KVStore` it made itself.

    Not thread-safe: one thread owns a model and its stores.
    """

    @property
    def config(self) -> GptOssConfig:
        """Shapes and constants; the engine reads the vocabulary and the longest context."""
        ...

    def new_kv(self, num_pages: int, page_len: int, bits: KVBits = 16) -> KVStore:
        """Make an empty store for this model, on its device, of numbers of `bits`."""
        ...

    def forward(
        self,
        token_ids: Sequence[int],
        start: int,
        pages: Sequence[int],
        kv: KVStore,
        num_logits: int,
    ) -> Tensor:
        """Append `token_ids` at positions `start`.. of the sequence whose KV lives in `pages`.

        Page `pages[i]` holds positions `i * page_len` to `(i + 1) * page_len - 1`; there must be
        enough of them for the new tokens. KV of the positions before `start` is already there;
        whatever lies at `start` and after is overwritten or ignored, which makes rewinding free.

        Returns the fp32 logits `[num_logits, vocab_size]` of the last `num_logits` tokens
        (`0 <= num_logits <= len(token_ids)`). They are the caller's: no later pass writes there.
        A pass that is asked for logits may return before the device has done it, as reading them
        waits; one that is not returns when it is done, or prefill chunks would pile up in front of
        a more urgent request.

        Raises ValueError for no tokens, too few pages or too many logits asked.
        """
        ...


def check_pass(
    token_ids: Sequence[int], start: int, pages: Sequence[int], kv: KVStore, num_logits: int
) -> None:
    """Raise the ValueErrors of `Model.forward`."""
    num_tokens = len(token_ids)
    if not num_tokens:
        raise ValueError("a pass needs at least one token")
    if start + num_tokens > len(pages) * kv.page_len:
        raise ValueError(
            f"{len(pages)} pages of {kv.page_len} do not hold {start + num_tokens} tokens"
        )
    if not 0 <= num_logits <= num_tokens:
        raise ValueError(f"{num_logits} logits asked of a pass of {num_tokens} tokens")


class Step(Protocol):
    """A greedy decode step that the device has been given."""

    def token_id(self) -> int:
        """The token it chose; waits until that is known. Good for any time after, whatever passes
        came between."""
        ...


@runtime_checkable
class Decoder(Protocol):
    """What a model may offer beside `Model`: greedy steps the host need not wait for, and passes of
    a few tokens that cost hardly more than one. The engine looks for it with isinstance.

    A step's tokens are those that `forward` and an argmax (the lowest id of equals) would give, and
    the logits of a token do not depend on how many others share its pass.
    """

    @property
    def max_rows(self) -> int:
        """Most tokens of a cheap pass. 1: drafts never pay."""
        ...

    def pass_cost(self, num_rows: int) -> float:
        """The time of a `forward` of `num_rows` tokens (1 to `max_rows`) with all their logits,
        relative to a decode step's. Constant."""
        ...

    def decode(self, after: int | Step, start: int, pages: Sequence[int], kv: KVStore) -> Step:
        """Append one token at position `start` and choose the next; returns at once.

        `after` is the token's id, or the step that chooses it, which the device need not have done
        yet. `pages` is as for `forward`, and read before this returns. The device does it after all
        that it was given before and before all that it is given later, `copy_page` included: a
        step that nobody asks for its token may go on writing into a page that has been given away,
        since whoever has the page now writes it later.
        """
        ...
