"""What the engine asks of a model. The reference, faster paths and toy models for tests all fit."""

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from inkling.engine.model.config import GptOssConfig


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

    def new_kv(self, num_pages: int, page_len: int) -> KVStore:
        """Make an empty store for this model, on its device."""
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
        (`0 <= num_logits <= len(token_ids)`).

        Raises ValueError for no tokens, too few pages or too many logits asked.
        """
        ...
