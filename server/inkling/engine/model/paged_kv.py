"""Keys and values in pages, as plain tensors: numbers, or 8-bit codes with a scale for each row."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

# Bits of a stored number. 16 stands for what is not quantized: fp16 on a GPU, fp32 in the reference.
KVBits = Literal[16, 8]

_MOST_CODE = 127
_FP16_MAX = 65504.0


def quantize_rows(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Codes int8 `[..., head_dim]` and scales fp16 `[...]` of `rows`: a code times its scale is the
    number, within half a scale. What lies beyond fp16 counts as its largest number.

    The codes are made with the scale as it is stored, rounded half to even. The GPU's kernels do the
    same operations (kernels/cache.cuh, kernels/rotary.py): all store the same for the same row.
    """
    rows = rows.float().clamp(-_FP16_MAX, _FP16_MAX)
    scales = (rows.abs().amax(-1) * (1 / _MOST_CODE)).half()
    # Rows so small that fp16 makes their scale 0 are 0; for others nearly so it may be far too small.
    steps = torch.where(scales > 0, scales, 1).float()[..., None]
    return (rows / steps).round().clamp(-_MOST_CODE, _MOST_CODE).to(torch.int8), scales


@dataclass(frozen=True)
class LayerKV:
    """The pages of one layer: `keys` and `values` `[num_pages, page_len, kv_heads, head_dim]`. Their
    scales are fp16 `[num_pages, page_len, kv_heads]`, where they are codes."""

    keys: Tensor
    values: Tensor
    key_scales: Tensor | None
    value_scales: Tensor | None

    @property
    def bits(self) -> KVBits:
        """Of a stored number."""
        return 16 if self.key_scales is None else 8


class PagedKV:
    """`keys` and `values`: `[layers, num_pages, page_len, kv_heads, head_dim]`. In 8 bits they are int8
    codes, and `key_scales` and `value_scales` fp16 `[layers, num_pages, page_len, kv_heads]`.

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
        bits: KVBits = 16,
    ) -> None:
        """Allocate zeroed pages. `dtype` is that of rows given and read, and, but for 8 bits, kept."""
        rows = (num_layers, num_pages, page_len, num_kv_heads)
        kept = dtype if bits == 16 else torch.int8
        self.keys = torch.zeros((*rows, head_dim), dtype=kept, device=device)
        self.values = torch.zeros_like(self.keys)
        self.key_scales: Tensor | None = None
        self.value_scales: Tensor | None = None
        if bits == 8:
            self.key_scales = torch.zeros(rows, dtype=torch.float16, device=device)
            self.value_scales = torch.zeros_like(self.key_scales)
        self.num_pages = num_pages
        self.page_len = page_len
        self._dtype = dtype

    @property
    def bytes_per_token(self) -> int:
        """Bytes one position takes over all layers, keys and values together, with their scales."""
        nbytes = sum(tensor.nbytes for tensor in self._tensors())
        return nbytes // (self.num_pages * self.page_len)

    def _tensors(self) -> list[Tensor]:
        tensors = (self.keys, self.values, self.key_scales, self.value_scales)
        return [tensor for tensor in tensors if tensor is not None]

    def copy_page(self, src: int, dst: int) -> None:
        """Make page `dst` hold what page `src` holds, in all layers."""
        for tensor in self._tensors():
            tensor[:, dst] = tensor[:, src]

    def layer(self, index: int) -> LayerKV:
        """The pages of one layer, where they lie."""
        key_scales = None if self.key_scales is None else self.key_scales[index]
        value_scales = None if self.value_scales is None else self.value_scales[index]
        return LayerKV(self.keys[index], self.values[index], key_scales, value_scales)

    def slots(self, pages: Sequence[int], start: int, count: int) -> Tensor:
        """Flat indices (page * page_len + offset) of positions `start`.. of a sequence."""
        size = self.page_len
        return torch.tensor(
            [pages[at // size] * size + at % size for at in range(start, start + count)],
            device=self.keys.device,
        )

    def write(self, layer: int, slots: Tensor, keys: Tensor, values: Tensor) -> None:
        """Store `keys` and `values` `[tokens, kv_heads, head_dim]` of one layer at `slots`."""
        pages = self.layer(layer)
        _put(keys, slots, pages.keys, pages.key_scales)
        _put(values, slots, pages.values, pages.value_scales)

    def page_index(self, pages: Sequence[int]) -> slice | Tensor:
        """What `read` takes for `pages`: a slice where they lie in a row, which is read without a copy
        (but for 8 bits)."""
        first = pages[0]
        if all(page == first + i for i, page in enumerate(pages)):
            return slice(first, first + len(pages))
        return torch.tensor(pages, device=self.keys.device)

    def read(self, layer: int, index: slice | Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of whole pages, each `[positions, kv_heads, head_dim]`."""
        pages = self.layer(layer)
        return (
            self._rows(index, pages.keys, pages.key_scales),
            self._rows(index, pages.values, pages.value_scales),
        )

    def _rows(self, index: slice | Tensor, pages: Tensor, scales: Tensor | None) -> Tensor:
        rows = _taken(pages, index)
        if scales is None:
            return rows
        return rows.to(self._dtype) * _taken(scales, index).to(self._dtype)[..., None]


def _put(rows: Tensor, slots: Tensor, pages: Tensor, scales: Tensor | None) -> None:
    if scales is not None:
        rows, of_rows = quantize_rows(rows)
        scales.flatten(0, 1).index_copy_(0, slots, of_rows)
    pages.flatten(0, 1).index_copy_(0, slots, rows)


def _taken(pages: Tensor, index: slice | Tensor) -> Tensor:
    """The positions of some pages, in a row."""
    taken = pages[index] if isinstance(index, slice) else pages.index_select(0, index)
    return taken.flatten(0, 1)
