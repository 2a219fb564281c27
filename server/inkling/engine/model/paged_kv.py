"""Keys and values in pages, as two plain tensors."""

from collections.abc import Sequence

import torch
from torch import Tensor


class PagedKV:
    """`keys` and `values`: `[layers, num_pages, page_len, kv_heads, head_dim]`.

    Every layer keeps all positions, sliding ones too: rewinding is then exact and free.
    """

    def __init__(
        self,
        num_layers: int,
        num_pages: int,
        page_len: int,
        num_kv_heads: int,
        head_dim: int,
        *,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        """Allocate zeroed pages."""
        shape = (num_layers, num_pages, page_len, num_kv_heads, head_dim)
        self.keys = torch.zeros(shape, dtype=dtype, device=device)
        self.values = torch.zeros(shape, dtype=dtype, device=device)
        self.num_pages = num_pages
        self.page_len = page_len

    @property
    def bytes_per_token(self) -> int:
        """Bytes one position takes over all layers, keys and values together."""
        return 2 * self.keys.nbytes // (self.num_pages * self.page_len)

    def copy_page(self, src: int, dst: int) -> None:
        """Make page `dst` hold what page `src` holds, in all layers."""
        self.keys[:, dst] = self.keys[:, src]
        self.values[:, dst] = self.values[:, src]

    def slots(self, pages: Sequence[int], start: int, count: int) -> Tensor:
        """Flat indices (page * page_len + offset) of positions `start`.. of a sequence."""
        size = self.page_len
        return torch.tensor(
            [pages[at // size] * size + at % size for at in range(start, start + count)],
            device=self.keys.device,
        )

    def write(self, layer: int, slots: Tensor, keys: Tensor, values: Tensor) -> None:
        """Store `keys` and `values` `[tokens, kv_heads, head_dim]` of one layer at `slots`."""
        self.keys[layer].flatten(0, 1).index_copy_(0, slots, keys)
        self.values[layer].flatten(0, 1).index_copy_(0, slots, values)

    def page_index(self, pages: Sequence[int]) -> slice | Tensor:
        """What `read` takes for `pages`: a slice, which copies nothing, where they lie in a row."""
        first = pages[0]
        if all(page == first + i for i, page in enumerate(pages)):
            return slice(first, first + len(pages))
        return torch.tensor(pages, device=self.keys.device)

    def read(self, layer: int, index: slice | Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of whole pages, each `[positions, kv_heads, head_dim]`."""
        keys, values = self.keys[layer], self.values[layer]
        if isinstance(index, slice):
            return keys[index].flatten(0, 1), values[index].flatten(0, 1)
        return keys.index_select(0, index).flatten(0, 1), values.index_select(0, index).flatten(
            0, 1
        )
