"""Where the codes of a matrix lie in its words: orders that make four of them ready at once.

A column has 32 codes in a group, in a plane of `words` and, at some widths, one of `high` bits.

    bits    words                    high
    3       3                        none
    4       4 of nibbles             none
    5       4 of bytes               1 of bytes
    6       4, their 4 lower bits    2, their 2 higher bits
    8       8 of bytes               none
    MXFP4   4 of nibbles             none

The kernels multiply rows 8 J + 2 b + p (b = 0 to 3) together, with one byte for each. Of EXL2's codes
one shift and one mask of a plane bring what it has of all four into their bytes:

    nibbles        row 8 J + j is nibble j of word J
    bytes          row 8 J + 2 b + p is byte b of word 2 J + p
    two bits       of word J // 2 at 8 b + 2 ((2 J + p) % 4)

Of 5 bits each byte has one code in its lower bits, and in the three above a part of another:

    5 bits         row 8 J + 2 b is at 8 b of word J, row 2 b + 1 at 8 b of the high word;
                   row 9 + 2 b     its 3 lower bits at 8 b + 5 of word 0, its 2 higher ones of word 1
                   row 17 + 2 b    likewise of words 2 and 3
                   row 25 + 2 b    its 3 lower bits at 8 b + 5 of the high word, the next at 8 b + 7 of
                                   word 1, the highest at 8 b + 7 of word 3

Of 3 bits each byte of a word has two codes and two bits of another:

    3 bits         row 8 J + 2 b + p at 8 b + 3 p of word J; row 24 + 2 b + p has its two lower bits at
                   8 b + 6 of word p and its highest at 8 b + 6 + p of word 2

MXFP4's nibbles are looked up, four neighbours at once (PRMT): row 8 J + 2 b + p is nibble 4 p + b of
word J.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

GROUP = 32  # rows that share a scale
TILE = 8  # columns
# In the place of a width: 4 bits, but no number of EXL2's.
MXFP4 = -4
# Words of a column and group in the two planes.
PLANES: Mapping[int, tuple[int, int]] = {
    3: (3, 0),
    4: (4, 0),
    5: (4, 1),
    6: (4, 2),
    8: (8, 0),
    MXFP4: (4, 0),
}


def pack_codes(codes: Tensor, bits: int) -> tuple[Tensor, Tensor]:
    """`words` and `high` of EXL2's codes uint8 `[in, out]`, int32 `[out / 8, groups, 8, ..]`."""
    num_rows, num_columns = codes.shape
    # [tile, group, column, J, b, p]: row 8 J + 2 b + p of each group
    blocks = codes.view(num_rows // GROUP, 4, 4, 2, num_columns // TILE, TILE)
    blocks = blocks.permute(4, 0, 5, 1, 2, 3).contiguous()
    # All shifts stay within a byte, so bytes are all that is computed with, and b is the byte.
    if bits == 8:
        words = _as_words(blocks.transpose(-2, -1))
    elif bits == 3:
        words = _pack_threes(blocks)
    elif bits == 5:
        return _pack_fives(blocks)
    else:
        low = blocks & 15
        words = _as_words(low[..., 0] | (low[..., 1] << 4))
    if bits == 6:
        high = _pack_pairs(blocks >> 4)
    else:
        high = words.new_empty((*words.shape[:-1], 0))
    return words, high


def pack_blocks(blocks: Tensor) -> Tensor:
    """`words` int32 `[out / 8, groups, 8, 4]` of MXFP4's blocks uint8 `[out, groups, 16]`."""
    num_columns, num_groups, _ = blocks.shape
    # Byte b of word J holds rows 8 J + 2 b and 8 J + 2 b + 1.
    pairs = blocks.view(num_columns // TILE, TILE, num_groups, 4, 2, 2)
    first, second = pairs.unbind(-1)
    even = (first & 15) | (second << 4)
    odd = (first >> 4) | (second & 0xF0)
    return _as_words(torch.stack((even, odd), -2).transpose(1, 2))


def unpack_codes(words: Tensor, high: Tensor | None, bits: int) -> Tensor:
    """Codes uint8 `[.., in, out]` of planes `[.., out / 8, groups, 8, ..]`."""
    words = words.long()
    if bits == 8:
        rows = (torch.unflatten(words, -1, (4, 1, 2)) >> _shifts(words, 4, 8)[:, None]) & 255
    elif bits == 3:
        rows = _unpack_threes(words)
    elif bits == 5:
        assert high is not None
        rows = _unpack_fives(words, high.long())
    else:
        nibbles = (words[..., None] >> _shifts(words, 8, 4)) & 15
        if bits == MXFP4:
            rows = torch.unflatten(nibbles, -1, (2, 4)).transpose(-2, -1)
        else:
            rows = torch.unflatten(nibbles, -1, (4, 2))
    if bits == 6:
        assert high is not None
        rows = rows | (_unpack_pairs(high.long()) << 4)
    # [.., tile, group, column, J, b, p] to [.., group, J, b, p, tile, column]
    lead = list(range(rows.dim() - 6))
    at = [len(lead) + axis for axis in (1, 3, 4, 5, 0, 2)]
    tiles, groups, columns = rows.shape[-6:-3]
    rows = rows.permute(*lead, *at).to(torch.uint8)
    return rows.reshape(*rows.shape[:-6], groups * GROUP, tiles * columns)


def _pack_threes(blocks: Tensor) -> Tensor:
    """Codes `[tile, group, column, J, b, p]` of 3 bits, as 3 words."""
    whole = blocks[..., :3, :, 0] | (blocks[..., :3, :, 1] << 3)  # [.., word, b]
    even, odd = blocks[..., 3, :, :].unbind(-1)
    highest = (even >> 2) | (odd >> 2 << 1)
    return _as_words(whole | (torch.stack((even & 3, odd & 3, highest), -2) << 6))


def _unpack_threes(words: Tensor) -> Tensor:
    """`[.., J, b, p]` of 3 words."""
    data = (words[..., None] >> _shifts(words, 4, 8)) & 255  # [.., word, b]
    whole = torch.stack((data & 7, (data >> 3) & 7), -1)
    lower, highest = data[..., :2, :] >> 6, data[..., 2, :] >> 6
    last = torch.stack(
        (lower[..., 0, :] | ((highest & 1) << 2), lower[..., 1, :] | (highest >> 1 << 2)), -1
    )
    return torch.cat((whole, last[..., None, :, :]), -3)


def _pack_fives(blocks: Tensor) -> tuple[Tensor, Tensor]:
    """Codes `[tile, group, column, J, b, p]` of 5 bits, as 4 words and 1."""
    even, odd = blocks.unbind(-1)  # [.., J, b]
    first, second, third, last = odd.unbind(-2)
    above = torch.stack(
        (second & 7, second >> 3 | (last >> 3 & 1) << 2, third & 7, third >> 3 | last >> 4 << 2), -2
    )
    return _as_words(even | above << 5), _as_words((first | last << 5)[..., None, :])


def _unpack_fives(words: Tensor, high: Tensor) -> Tensor:
    """`[.., J, b, p]` of 4 words and 1."""
    data = torch.cat((words, high), -1)
    data = (data[..., None] >> _shifts(data, 4, 8)) & 255  # [.., word, b]
    w0, w1, w2, w3, w4 = (data >> 5).unbind(-2)
    odd = torch.stack(
        (
            data[..., 4, :] & 31,
            w0 | (w1 & 3) << 3,
            w2 | (w3 & 3) << 3,
            w4 | w1 >> 2 << 3 | w3 >> 2 << 4,
        ),
        -2,
    )
    return torch.stack((data[..., :4, :] & 31, odd), -1)


def _pack_pairs(blocks: Tensor) -> Tensor:
    """Two bits of each code `[tile, group, column, J, b, p]`, as 2 words."""
    halves = torch.unflatten(blocks, -3, (2, 2)).transpose(-3, -2)  # [.., J // 2, b, J % 2, p]
    return _as_words(_merge(halves.flatten(-2), 2))


def _unpack_pairs(plane: Tensor) -> Tensor:
    """`[.., J, b, p]` of 2 words."""
    parts = (plane[..., None, None] >> (_byte_starts(plane) + _shifts(plane, 4, 2))) & 3
    return torch.unflatten(parts, -1, (2, 2)).transpose(-3, -2).flatten(-4, -3)


def _byte_starts(plane: Tensor) -> Tensor:
    return _shifts(plane, 4, 8)[:, None]


def _shifts(like: Tensor, count: int, width: int) -> Tensor:
    """Where each of `count` parts of `width` bits begins."""
    return torch.arange(0, count * width, width, device=like.device)


def _merge(parts: Tensor, width: int) -> Tensor:
    """Bytes `[..]` of the last dimension's parts, `width` bits each, the first in the lowest."""
    shifts = _shifts(parts, parts.shape[-1], width).to(torch.uint8)
    return (parts << shifts).sum(-1, dtype=torch.uint8)


def _as_words(parts: Tensor) -> Tensor:
    """int32 `[tile, group, column, word]` of bytes `[tile, group, column, .., 4]`."""
    return parts.flatten(3).contiguous().view(torch.int32)
