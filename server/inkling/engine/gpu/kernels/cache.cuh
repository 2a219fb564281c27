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

// As halves, of rows in shared memory: dimensions d and d + 1 of one, and dimension d of two that follow one another.
// In 8 bits they want the row's scale.
DEVICE u32 load_two(int row, int d);
DEVICE u32 load_one_of_two(int row, int d);
// Store dimensions d and HEAD_DIM / 2 + d of a row.
DEVICE void store_two(Stored* rows, u16* scales, int row, int d, float low, float high);

#if KV_BITS == 8

static_assert(HEAD_DIM == 64, "a warp quantizes a row, two dimensions a lane");

// As paged_kv.quantize_rows: the code is made with the scale as it is stored, and rounded half to even.
DEVICE Stored code_of(float f, float step) {
    int code = round_to_int(f / step);
    return (Stored)(code > 127 ? 127 : code < -127 ? -127 : code);
}

// All lanes of a warp, each with its d.
DEVICE void store_two(Stored* rows, u16* scales, int row, int d, float low, float high) {
    low = within_half(low), high = within_half(high);
    u32 a = float_to_bits(low) & 0x7fffffffu, b = float_to_bits(high) & 0x7fffffffu;  // sizes, in the order of numbers
    u16 scale = float_to_half(bits_to_float(warp_max(a > b ? a : b)) * (1.f / 127.f));
    float step = scale ? half_to_float(scale) : 1.f;
    rows[row + d] = code_of(low, step);
    rows[row + HEAD_DIM / 2 + d] = code_of(high, step);
    if (d == 0) scales[row / HEAD_DIM] = scale;
}

DEVICE u32 load_two(int row, int d) {
    u16 pair = *(const u16*)SHARED_AT(row + d);
    return halves((float)(Stored)pair, (float)(Stored)(pair >> 8));
}
DEVICE u32 load_one_of_two(int row, int d) {
    return halves((float)*(const Stored*)SHARED_AT(row + d), (float)*(const Stored*)SHARED_AT(row + KEY_ROW + d));
}

#else

DEVICE void store_two(Stored* rows, u16*, int row, int d, float low, float high) {
    rows[row + d] = float_to_half(within_half(low));
    rows[row + HEAD_DIM / 2 + d] = float_to_half(within_half(high));
}

DEVICE u32 load_two(int row, int d) { return *(const u32*)SHARED_AT(row + d * 2); }
DEVICE u32 load_one_of_two(int row, int d) {
    return *(const u16*)SHARED_AT(row + d * 2) | (u32) * (const u16*)SHARED_AT(row + KEY_ROW + d * 2) << 16;
}

#endif
