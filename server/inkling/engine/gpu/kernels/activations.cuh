// The residual stream, and activations as records of 32 in fixed point.

// The residual stream begins as the tokens' embeddings. A thread writes what it will read.
DEVICE void embed(const Pass& p) {
#pragma unroll 1
    for (int r = 0; r < row_end(p); r++) {
        int token = p.token_source && r == 0 ? load_fresh(p.token_source) : p.tokens[r];
        const u16* from = p.embedding + (size_t)token * HIDDEN;
#pragma unroll 1
        for (int k = threadIdx.x; k < HIDDEN; k += THREADS) RESIDUAL[r * HIDDEN + k] = half_to_float(from[k]);
    }
}

// residual[r] += what the blocks wrote to `added` (null: nothing); then 1 / rms of each row.
DEVICE void update_residual(const Pass& p, const float* added) {
    constexpr int EACH = (HIDDEN + THREADS - 1) / THREADS;
    int tid = threadIdx.x, lane = tid & 31, warp = tid >> 5;
#pragma unroll 1
    for (int r = 0; r < row_end(p); r++) {
        float more[EACH];  // all loads first: each takes longer than everything that is done with it
#pragma unroll
        for (int i = 0; i < EACH; i++) {
            int k = i * THREADS + tid;
            more[i] = added && k < HIDDEN ? load_fresh(added + r * HIDDEN + k) : 0.f;
        }
        float squares = 0.f;
#pragma unroll
        for (int i = 0; i < EACH; i++) {
            int k = i * THREADS + tid;
            if (k >= HIDDEN) continue;
            float x = RESIDUAL[r * HIDDEN + k] + more[i];
            RESIDUAL[r * HIDDEN + k] = x;
            squares = fma_rn(x, x, squares);
        }
        for (int far = 16; far; far >>= 1) squares += shuffle_xor(squares, far);
        if (lane == 0) S.warp_sums[r][warp] = squares;
    }
    wait_for_copies();  // the norm's weights
    block_barrier();
#pragma unroll 1
    for (int r = 0; r < row_end(p); r++) {
        float squares = 0.f;
#pragma unroll
        for (int w = 0; w < WARPS; w++) squares += S.warp_sums[r][w];
        // Everyone comes to the same: no second barrier.
        S.inverse_rms[r] = inverse_square_root(squares * (1.f / HIDDEN) + EPS);
    }
}

// Where activations come from: fp16 that blocks have written in this pass, row after row, or (null) the rows of the
// residual stream, normed with what lies at NORM_AT; in the order of `perm` (null: as they are), which is one
// matrix's or, from pair `first_pair` on (-1: no pairs), of each row's own expert.
struct Source {
    const u16* written;
    const short* perm;
    int first_pair;
};

// The norm's weights, on their way to NORM_AT: they wait for no other block.
DEVICE void copy_norm(const float* norm) {
#pragma unroll 1
    for (int i = threadIdx.x; i < HIDDEN / 4; i += THREADS) copy_16(NORM_AT + i * 16, (const char*)(norm + i * 4));
}

// Activations k to k + 7 of a row; of what was written and is in order, `written`.
DEVICE void load_activations(float (&v)[8], const Source& source, int row, int k, int width, uint4 written) {
    const float *residual = RESIDUAL + row * HIDDEN, *norm = (const float*)SHARED_AT(NORM_AT);
    if (source.written && !source.perm) {
        const u32 pairs[4] = {written.x, written.y, written.z, written.w};
#pragma unroll
        for (int i = 0; i < 8; i++) v[i] = half_to_float((u16)(pairs[i / 2] >> 16 * (i % 2)));
        return;
    }
    int at[8];
#pragma unroll
    for (int i = 0; i < 8; i++) at[i] = k + i;
    if (source.perm) {
        const short* own = source.first_pair < 0 ? source.perm : source.perm + (size_t)S.expert[source.first_pair + row] * width;
        uint4 eight = *(const uint4*)(own + k);
        const u32 pairs[4] = {eight.x, eight.y, eight.z, eight.w};
#pragma unroll
        for (int i = 0; i < 8; i++) at[i] = pairs[i / 2] >> 16 * (i % 2) & 0xFFFF;
    }
    if (source.written) {
        const u16* from = source.written + (size_t)row * width;
#pragma unroll
        for (int i = 0; i < 8; i++) v[i] = half_to_float(load_fresh(from + at[i]));
        return;
    }
    float scale = S.inverse_rms[row];
    if (source.perm) {
#pragma unroll
        for (int i = 0; i < 8; i++) v[i] = residual[at[i]] * norm[at[i]] * scale;
        return;
    }
#pragma unroll
    for (int i = 0; i < 8; i += 4) {
        float4 x = *(const float4*)(residual + k + i), w = *(const float4*)(norm + k + i);
        v[i] = x.x * w.x * scale, v[i + 1] = x.y * w.y * scale, v[i + 2] = x.z * w.z * scale, v[i + 3] = x.w * w.w * scale;
    }
}

// Of four whole numbers of 16 bits, two's complement, the higher bytes and the lower ones.
DEVICE uint2 split_bytes(u32 a, u32 b, u32 c, u32 d) {
    u32 first = look_up(a, b, 0x5140), last = look_up(c, d, 0x5140);
    return uint2{look_up(first, last, 0x7632), look_up(first, last, 0x5410)};
}

// Records of `rows` rows of `groups` * 32 activations each, in the order in which a matrix stores its rows. Not
// inlined: four places need it in every layer.
//
// Four lanes take a group, rows 8 J to 8 J + 7 each, which are 16 bytes of the record: shuffles are few. Added to
// 1.5 * 2^23, a number's float has it, rounded, in its lowest bits: conversions are slower.
NOINLINE void quantize(int groups, int rows, const Source source) {
    constexpr float MAGIC = 12582912.f;
    constexpr int AT_ONCE = 3;  // loads of what was written
    int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, total = rows * groups, j = lane & 3;
#pragma unroll 1
    for (int turn = warp * 8; turn < total; turn += WARPS * 8 * AT_ONCE) {
        uint4 written[AT_ONCE];
#pragma unroll
        for (int i = 0; i < AT_ONCE; i++) {
            int unit = turn + i * WARPS * 8 + (lane >> 2);
            written[i] = source.written && !source.perm && unit < total ? load_fresh((const uint4*)source.written + unit * 4 + j) : uint4{0, 0, 0, 0};
        }
#pragma unroll
        for (int i = 0; i < AT_ONCE; i++) {
            int first = turn + i * WARPS * 8, unit = first + (lane >> 2);
            if (first >= total) break;
            int there = at_most(unit, total - 1), row = there / groups, record = X_AT + there * RECORD;
            float v[8], largest = 1e-20f;
            load_activations(v, source, row, (there - row * groups) * 32 + j * 8, groups * 32, written[i]);
#pragma unroll
            for (int k = 0; k < 8; k++) largest = larger_size(largest, v[k]);
            largest = larger_size(largest, shuffle_xor(largest, 1));
            largest = larger_size(largest, shuffle_xor(largest, 2));
            float scale = 32512.f * reciprocal(largest);
            u32 codes[8], sum = 0;
#pragma unroll
            for (int k = 0; k < 8; k++) codes[k] = float_to_bits(fma_rn(v[k], scale, MAGIC)), sum += codes[k];
            sum -= 8 * float_to_bits(MAGIC);
            sum += (u32)shuffle_xor((int)sum, 1);
            sum += (u32)shuffle_xor((int)sum, 2);
            if (unit >= total) continue;
            uint2 even = split_bytes(codes[0], codes[2], codes[4], codes[6]), odd = split_bytes(codes[1], codes[3], codes[5], codes[7]);
            *(uint4*)SHARED_AT(record + j * 16) = uint4{even.x, even.y, odd.x, odd.y};
            if (j == 0) *(uint2*)SHARED_AT(record + 64) = uint2{float_to_bits(largest * (1.f / 32512.f)), sum};
        }
    }
}
