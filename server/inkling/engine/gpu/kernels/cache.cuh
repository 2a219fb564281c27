// The cache of keys and values of a layer: fp16, or codes of 8 bits with an fp16 scale for each row (a position's
// key or value of one head).

struct Cache {
    Stored* keys;
    Stored* values;
    u16* key_scales;  // null for fp16
    u16* value_scales;
};

DEVICE Cache layer_cache(const Pass& p, u64 layer_index) {
    u64 at = layer_index * p.layer_stride;
    return Cache{p.keys + at, p.values + at, p.key_scales + at / HEAD_DIM, p.value_scales + at / HEAD_DIM};
}

// Where a position's key or value of one head lies within a layer's, in elements.
DEVICE int kv_row(const int* pages, int position, int head) {
    int slot = pages[position / PAGE_LEN] * PAGE_LEN + position % PAGE_LEN;
    return (slot * KV_HEADS + head) * HEAD_DIM;
}

// fp16 has no room for infinities, which attention would turn into NaN for good.
DEVICE float within_half(float f) {
    f = f > 65504.f ? 65504.f : f;
    return f < -65504.f ? -65504.f : f;
}

// Two numbers as halves, the first in the lower half.
DEVICE u32 halves(float first, float second) { return float_to_half(first) | (u32)float_to_half(second) << 16; }

// Of 16 rows in shared memory dimensions d to d + 15, as operands in halves. Of keys: two for the first eight keys, two for
// the others. Of values: two for the first eight dimensions, two for the others. In 8 bits they want the rows' scales.
DEVICE void load_keys(u32 (&to)[4], int keys, int d);
DEVICE void load_values(u32 (&to)[4], int values, int d);
// Store dimensions d and HEAD_DIM / 2 + d of a row, and (-1: not) of the same row in shared memory.
DEVICE void store_two(Stored* rows, u16* scales, int row, int shared_row, int d, float low, float high);

#if KV_BITS == 8

static_assert(HEAD_DIM == 64, "a warp quantizes a row, two dimensions a lane");

// As paged_kv.quantize_rows: the code is made with the scale as it is stored, and rounded half to even.
DEVICE Stored code_of(float f, float step) {
    int code = round_to_int(f / step);
    return (Stored)(code > 127 ? 127 : code < -127 ? -127 : code);
}

// All lanes of a warp, each with its d.
DEVICE void store_two(Stored* rows, u16* scales, int row, int shared_row, int d, float low, float high) {
    low = within_half(low), high = within_half(high);
    u32 a = float_to_bits(low) & 0x7fffffffu, b = float_to_bits(high) & 0x7fffffffu;  // sizes, in the order of numbers
    u16 scale = float_to_half(bits_to_float(warp_max(a > b ? a : b)) * (1.f / 127.f));
    float step = scale ? half_to_float(scale) : 1.f;
    Stored first = code_of(low, step), second = code_of(high, step);
    rows[row + d] = first, rows[row + HEAD_DIM / 2 + d] = second;
    if (d == 0) scales[row / HEAD_DIM] = scale;
    if (shared_row < 0) return;
    Stored* staged = (Stored*)SHARED_AT(shared_row);
    staged[d] = first, staged[HEAD_DIM / 2 + d] = second;
    if (d == 0) *(u16*)(staged + STORED_ROW) = scale;
}

// Dimensions d and d + 1 of a row; dimension d of two rows that follow one another.
DEVICE u32 load_two(int row, int d) {
    u16 pair = *(const u16*)SHARED_AT(row + d);
    return halves((float)(Stored)pair, (float)(Stored)(pair >> 8));
}
DEVICE u32 load_one_of_two(int row, int d) {
    return halves((float)*(const Stored*)SHARED_AT(row + d), (float)*(const Stored*)SHARED_AT(row + KEY_ROW + d));
}
DEVICE void load_keys(u32 (&to)[4], int keys, int d) {
    int lane = threadIdx.x & 31, row = keys + (lane >> 2) * KEY_ROW;
#pragma unroll
    for (int i = 0; i < 4; i++) to[i] = load_two(row + i / 2 * 8 * KEY_ROW, d + i % 2 * 8 + (lane & 3) * 2);
}
DEVICE void load_values(u32 (&to)[4], int values, int d) {
    int lane = threadIdx.x & 31, row = values + (lane & 3) * 2 * KEY_ROW;
#pragma unroll
    for (int i = 0; i < 4; i++) to[i] = load_one_of_two(row + i % 2 * 8 * KEY_ROW, d + i / 2 * 8 + (lane >> 2));
}

#else

DEVICE void store_two(Stored* rows, u16*, int row, int shared_row, int d, float low, float high) {
    u16 first = float_to_half(within_half(low)), second = float_to_half(within_half(high));
    rows[row + d] = first, rows[row + HEAD_DIM / 2 + d] = second;
    if (shared_row < 0) return;
    Stored* staged = (Stored*)SHARED_AT(shared_row);
    staged[d] = first, staged[HEAD_DIM / 2 + d] = second;
}

DEVICE void load_keys(u32 (&to)[4], int keys, int d) {
    int lane = threadIdx.x & 31, key = (lane >> 4) * 8 + (lane & 7);
    load_matrices(to, keys + key * KEY_ROW + (d + (lane >> 3 & 1) * 8) * 2);
}
DEVICE void load_values(u32 (&to)[4], int values, int d) {
    int lane = threadIdx.x & 31, key = lane & 15;
    load_transposed(to, values + key * KEY_ROW + (d + (lane >> 4) * 8) * 2);
}

#endif
