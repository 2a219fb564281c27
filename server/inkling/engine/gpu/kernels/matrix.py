"""Rows times a matrix, dequantized on the way: the inner loop of `dense` and `experts`.

A run is what one column has in one group: 32 codes, as `codes` has them in words. Runs are numbered with
the groups fastest, and there is one for each thread of a block (`Tile` sees to it). So every
tensor of runs has the same layout in registers, a run's codes never leave their thread until they
go to shared memory as fp16, and the compiler has nothing to convert in between.
"""

import triton
import triton.language as tl

from inkling.engine.gpu import codes

_MXFP4: tl.constexpr = tl.constexpr(codes.MXFP4)
_SIGNS: tl.constexpr = tl.constexpr(0x80008000 - (1 << 32))  # of two fp16 in an int32


@triton.jit
def multiply(
    x_ptr,
    row,
    row_inside,
    words_ptr,
    high_ptr,
    scales_ptr,
    expert,
    first_column,
    IN: tl.constexpr,
    OUT: tl.constexpr,
    BITS: tl.constexpr,
    COLUMNS: tl.constexpr,
    GROUPS: tl.constexpr,
):
    """fp32 `[rows, COLUMNS]`: rows `row` of fp16 x `[.., IN]` times columns of one matrix.

    Rows not `row_inside` and columns beyond OUT come out as 0. A step of the loop takes GROUPS
    groups of 32. BITS is a width or MXFP4; 16 is a plain fp16 matrix `[IN, OUT]` at `words_ptr`.
    """
    x_row = x_ptr + (row.to(tl.int64) * IN)[:, None]
    if BITS == 16:
        words_ptr += expert.to(tl.int64) * (IN * OUT)
        out = _times_plain(
            x_row, row_inside, words_ptr, first_column, IN, OUT, COLUMNS, 32 * GROUPS
        )
    else:
        WORDS: tl.constexpr = 8 if BITS == 8 else 3 if BITS == 3 else 4
        HIGH: tl.constexpr = 2 if BITS == 6 else 1
        runs_before = expert.to(tl.int64) * (OUT * (IN // 32))
        out = _times_packed(
            x_row,
            row_inside,
            words_ptr + runs_before * WORDS,
            high_ptr + runs_before * HIGH,
            scales_ptr + runs_before,
            first_column,
            IN,
            OUT,
            BITS,
            COLUMNS,
            GROUPS,
        )
    return out


@triton.jit
def _times_plain(
    x_row,
    row_inside,
    weight_ptr,
    first_column,
    IN: tl.constexpr,
    OUT: tl.constexpr,
    COLUMNS: tl.constexpr,
    STEP: tl.constexpr,
):
    """`multiply` with a matrix that is not quantized."""
    out = tl.zeros((row_inside.shape[0], COLUMNS), tl.float32)
    column = first_column + tl.arange(0, COLUMNS)
    for first in range(0, IN, STEP):
        k = first + tl.arange(0, STEP)
        x = tl.load(x_row + k[None, :], mask=row_inside[:, None] & (k < IN)[None, :], other=0.0)
        weights = tl.load(
            weight_ptr + k.to(tl.int64)[:, None] * OUT + column[None, :],
            mask=(k < IN)[:, None] & (column < OUT)[None, :],
            other=0.0,
        )
        out = tl.dot(x, weights, out)
    return out


@triton.jit
def _times_packed(
    x_row,
    row_inside,
    words_ptr,
    high_ptr,
    scales_ptr,
    first_column,
    IN: tl.constexpr,
    OUT: tl.constexpr,
    BITS: tl.constexpr,
    COLUMNS: tl.constexpr,
    GROUPS: tl.constexpr,
):
    """`multiply` with a packed matrix."""
    out = tl.zeros((row_inside.shape[0], COLUMNS), tl.float32)
    k = tl.arange(0, 32 * GROUPS)
    NUM_GROUPS: tl.constexpr = IN // 32
    run = tl.arange(0, COLUMNS * GROUPS)
    column = first_column + run // GROUPS
    group = run % GROUPS
    column_inside = column < OUT
    record = (column // 8) * NUM_GROUPS + group
    at = record * 8 + column % 8
    # Scales are loaded a step ahead: the copies to shared memory that the compiler starts early by
    # itself are for x and the words. Bytes and fp16 are too narrow for them, and of a word of steps,
    # which 8 columns share, there would be 8 copies.
    inside = column_inside & (group < NUM_GROUPS)
    steps, scale_max = _load_scales(scales_ptr, record, column, inside, BITS)
    for first_group in range(0, NUM_GROUPS, GROUPS):
        after = first_group + GROUPS
        next_inside = column_inside & (group + after < NUM_GROUPS)
        next_steps, next_scale_max = _load_scales(
            scales_ptr, record + after, column, next_inside, BITS
        )

        k_inside = k < IN - first_group * 32
        x = tl.load(
            x_row + (first_group * 32 + k)[None, :],
            mask=row_inside[:, None] & k_inside[None, :],
            other=0.0,
        )
        if BITS == _MXFP4:
            scale = _power_of_two(steps)
        else:
            root = ((steps >> (4 * (column % 8))) & 15) + 1
            scale = (root * root).to(tl.float16) * scale_max
        values = _values(
            words_ptr,
            high_ptr,
            at + first_group * 8,
            column_inside & (group + first_group < NUM_GROUPS),
            scale,
            BITS,
        )
        # A bit cast after the reshape keeps Triton 3.6 from a rewrite that fails to compile.
        weights = tl.reshape(values, (COLUMNS, 32 * GROUPS)).to(tl.float16, bitcast=True)
        out = tl.dot(x, tl.trans(weights), out)
        steps = next_steps
        scale_max = next_scale_max
    return out


@triton.jit
def _load_scales(scales_ptr, record, column, inside, BITS: tl.constexpr):
    """What `layout` has in `scales` for columns `column` of tiles and groups `record`.

    Of EXL2 the words with the steps of 8 columns, int32, and scale_max, fp16; of MXFP4 the columns'
    bytes, in place of both.
    """
    if BITS == _MXFP4:
        steps = tl.load(scales_ptr + record * 8 + column % 8, mask=inside, other=0)
        scale_max = steps
    else:
        words_ptr = scales_ptr.to(tl.pointer_type(tl.int32))
        halves_ptr = scales_ptr.to(tl.pointer_type(tl.float16))
        steps = tl.load(words_ptr + record * 2, mask=inside, other=0)
        scale_max = tl.load(halves_ptr + record * 4 + 2, mask=inside, other=0.0)
    return steps, scale_max


@triton.jit
def _power_of_two(biased):
    """fp16 2**(biased - 127 + 14) for `_two_nibbles`, of up to 128; where it is subnormal 0, since
    there the values themselves are nearest to 0 in fp16."""
    exponent = tl.maximum(biased.to(tl.int32) - (127 - 14 - 15), 0)
    return (exponent << 10).to(tl.int16).to(tl.float16, bitcast=True)


@triton.jit
def _values(words_ptr, high_ptr, at, inside, scale, BITS: tl.constexpr):
    """The values of runs `at`, as the bits of fp16 numbers: int16 `[runs, 2, 2, 2, 2, 2]`.

    The five last dimensions are the bits of the row within the group, highest first.
    """
    RUNS: tl.constexpr = at.shape[0]
    if BITS == 8:
        word = tl.arange(0, 8)
        words = tl.load(words_ptr + at[:, None] * 8 + word[None, :], mask=inside[:, None], other=0)
        even, odd = tl.split(tl.reshape(words, (RUNS, 2, 2, 2)))
        even02, even13 = tl.split(even)
        odd02, odd13 = tl.split(odd)
        even0, even2 = tl.split(even02)
        even1, even3 = tl.split(even13)
        odd0, odd2 = tl.split(odd02)
        odd1, odd3 = tl.split(odd13)
        rows0 = _eight_rows(even0, odd0, even0, scale, 0, BITS)
        rows8 = _eight_rows(even1, odd1, even0, scale, 1, BITS)
        rows16 = _eight_rows(even2, odd2, even0, scale, 2, BITS)
        rows24 = _eight_rows(even3, odd3, even0, scale, 3, BITS)
    elif BITS == 3:
        word0 = tl.load(words_ptr + at * 3, mask=inside, other=0)
        word1 = tl.load(words_ptr + at * 3 + 1, mask=inside, other=0)
        word2 = tl.load(words_ptr + at * 3 + 2, mask=inside, other=0)
        rows0 = _eight_rows(word0, word0, word2, scale, 0, BITS)
        rows8 = _eight_rows(word1, word1, word2, scale, 1, BITS)
        rows16 = _eight_rows(word2, word2, word2, scale, 2, BITS)
        rows24 = _eight_rows(word0, word1, word2, scale, 3, BITS)
    else:
        word = tl.arange(0, 4)
        words = tl.load(words_ptr + at[:, None] * 4 + word[None, :], mask=inside[:, None], other=0)
        words02, words13 = tl.split(tl.reshape(words, (RUNS, 2, 2)))
        word0, word2 = tl.split(words02)
        word1, word3 = tl.split(words13)
        low_plane = word0
        high_plane = word0
        odd0 = word0
        odd1 = word1
        odd2 = word2
        odd3 = word3
        if BITS == 5:
            odd0 = tl.load(high_ptr + at, mask=inside, other=0)
            odd1 = _of_bytes(word0, 5, 0, 7) | _of_bytes(word1, 5, 3, 3)
            odd2 = _of_bytes(word2, 5, 0, 7) | _of_bytes(word3, 5, 3, 3)
            odd3 = _of_bytes(odd0, 5, 0, 7) | _of_bytes(word1, 7, 3, 1) | _of_bytes(word3, 7, 4, 1)
        if BITS == 6:
            low_plane = tl.load(high_ptr + at * 2, mask=inside, other=0)
            high_plane = tl.load(high_ptr + at * 2 + 1, mask=inside, other=0)
        rows0 = _eight_rows(word0, odd0, low_plane, scale, 0, BITS)
        rows8 = _eight_rows(word1, odd1, low_plane, scale, 1, BITS)
        rows16 = _eight_rows(word2, odd2, high_plane, scale, 2, BITS)
        rows24 = _eight_rows(word3, odd3, high_plane, scale, 3, BITS)
    joined = tl.join(tl.join(rows0, rows16), tl.join(rows8, rows24))
    if BITS == _MXFP4:
        ordered = tl.permute(joined, (0, 4, 5, 2, 3, 1))
    else:
        ordered = tl.permute(joined, (0, 4, 5, 1, 2, 3))
    return ordered


@triton.jit
def _eight_rows(even, odd, plane, scale, J: tl.constexpr, BITS: tl.constexpr):
    """Rows 8 J to 8 J + 7: int16 `[runs, 2, 2, 2]`, by the bits of the row, highest first; of MXFP4
    the lowest bit comes first.

    `even` and `odd` are the words that hold the even and the odd rows, `plane` the high bits.
    """
    if BITS == _MXFP4:
        rows01 = _two_nibbles(even, scale, 0)
        rows23 = _two_nibbles(even, scale, 1)
        rows45 = _two_nibbles(even, scale, 2)
        rows67 = _two_nibbles(even, scale, 3)
        rows = tl.join(tl.join(rows01, rows45), tl.join(rows23, rows67))
    else:
        rows04 = _two_rows(even, plane, scale, J, 0, BITS)
        rows15 = _two_rows(odd, plane, scale, J, 1, BITS)
        rows26 = _two_rows(even, plane, scale, J, 2, BITS)
        rows37 = _two_rows(odd, plane, scale, J, 3, BITS)
        rows = tl.join(tl.join(rows04, rows26), tl.join(rows15, rows37))
    return rows


@triton.jit
def _two_nibbles(word, scale, I: tl.constexpr):
    """Rows 8 J + 2 I and 8 J + 2 I + 1 of MXFP4, which lie 16 bits apart: int16 `[runs, 2]`.

    The three lower bits of a nibble are an exponent and a mantissa: 9 bits higher, they make the
    value times 2**-14 as fp16, subnormal ones included.
    """
    if I == 3:
        magnitude = word >> 3
    else:
        magnitude = word << (9 - 4 * I)
    numbers = ((word << (12 - 4 * I)) & _SIGNS) | (magnitude & 0x0E000E00)
    return _scaled(numbers, 0.0, scale)


@triton.jit
def _two_rows(word, plane, scale, J: tl.constexpr, I: tl.constexpr, BITS: tl.constexpr):
    """Rows 8 J + I and 8 J + I + 4, which lie 16 bits apart: int16 `[runs, 2]`.

    Two codes at a time become the fp16 numbers 1024 + code, by setting the exponent's bits above
    them: their last ten bits are a whole number, and no conversion is needed.
    """
    if BITS == 8:
        codes = (word >> (8 * (I // 2))) & 0x00FF00FF
    elif BITS == 5:
        codes = (word >> (8 * (I // 2))) & 0x001F001F
    elif BITS == 3 and J < 3:
        codes = _moved(word, 8 * (I // 2) + 3 * (I % 2), 0, 0x00070007)
    elif BITS == 3:
        highest = _moved(plane, 8 * (I // 2) + 6 + I % 2, 2, 0x00040004)
        codes = _moved(word, 8 * (I // 2) + 6, 0, 0x00030003) | highest
    else:
        codes = (word >> (4 * I)) & 0x000F000F
    if BITS == 6:
        codes = codes | _moved(plane, 8 * (I // 2) + 2 * ((2 * J + I % 2) % 4), 4, 0x00300030)
    return _scaled(codes | 0x64006400, 1024 + (1 << (BITS - 1)), scale)


@triton.jit
def _of_bytes(word, FROM: tl.constexpr, TO: tl.constexpr, MASK: tl.constexpr):
    """Of each byte the bits MASK from FROM on, moved to TO."""
    return (word >> (FROM - TO)) & ((MASK << TO) * 0x01010101)


@triton.jit
def _scaled(numbers, ZERO: tl.constexpr, scale):
    """(number - ZERO) * scale of two fp16 numbers a word: int16 `[runs, 2]`."""
    zero = tl.full((), ZERO, tl.float16)
    first = numbers.to(tl.int16).to(tl.float16, bitcast=True)
    second = (numbers >> 16).to(tl.int16).to(tl.float16, bitcast=True)
    return tl.join(
        ((first - zero) * scale).to(tl.int16, bitcast=True),
        ((second - zero) * scale).to(tl.int16, bitcast=True),
    )


@triton.jit
def _moved(plane, FROM: tl.constexpr, TO: tl.constexpr, MASK: tl.constexpr):
    """Bits from FROM and from FROM + 16 of a word, moved to TO and TO + 16; the rest is 0."""
    if FROM < TO:
        return (plane << (TO - FROM)) & MASK
    return (plane >> (FROM - TO)) & MASK
