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
        if (lane == 0) S.warp_sums[warp][r] = squares;
    }
    block_barrier();
#pragma unroll 1
    for (int r = warp; r < row_end(p); r += WARPS) {
        float squares = lane < WARPS ? S.warp_sums[lane][r] : 0.f;
        for (int far = 16; far; far >>= 1) squares += shuffle_xor(squares, far);
        if (lane == 0) S.inverse_rms[r] = inverse_square_root(squares * (1.f / HIDDEN) + EPS);
    }
    block_barrier();
}

// Records of one row of `groups` * 32 activations at byte `to` of shared memory, in the order in which the
// matrix stores its rows: what blocks have written in this pass, or (null) row `row` of the residual
// stream, normed. Not inlined: four places need it in every layer, and code that comes first in a layer
// costs more time than it takes to run.
NOINLINE void quantize(int to, int groups, const float* written, const float* norm, int row, const short* perm) {
    constexpr int AT_ONCE = 3;  // in step with each other: one alone is a long chain of waiting
    int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
    int at = ((lane >> 3) << 4) + ((lane & 1) << 3) + ((lane & 7) >> 1);
    const float* from = written ? written : norm;
    const float* residual = RESIDUAL + row * HIDDEN;
    float scale = S.inverse_rms[row];
#pragma unroll 1
    for (int first = warp; first < groups; first += WARPS * AT_ONCE) {
        int k[AT_ONCE], code[AT_ONCE], sum[AT_ONCE];
        float v[AT_ONCE], largest[AT_ONCE];
        // the last group again rather than none, so that there are no branches
        auto group = [&](int i) { return first + i * WARPS < groups ? first + i * WARPS : first; };
#pragma unroll
        for (int i = 0; i < AT_ONCE; i++) k[i] = group(i) * 32 + lane;
        if (perm)
#pragma unroll
            for (int i = 0; i < AT_ONCE; i++) k[i] = (u16)perm[k[i]];
#pragma unroll
        for (int i = 0; i < AT_ONCE; i++) v[i] = load_fresh(from + k[i]);
        if (!written)
#pragma unroll
            for (int i = 0; i < AT_ONCE; i++) v[i] *= residual[k[i]] * scale;
#pragma unroll
        for (int i = 0; i < AT_ONCE; i++) {
            largest[i] = bits_to_float(warp_max(float_to_bits(v[i]) & 0x7fffffffu));
            largest[i] = largest[i] > 1e-20f ? largest[i] : 1e-20f;
        }
#pragma unroll
        for (int i = 0; i < AT_ONCE; i++) code[i] = round_to_int(v[i] * (32512.f * reciprocal(largest[i])));
#pragma unroll
        for (int i = 0; i < AT_ONCE; i++) sum[i] = warp_sum(code[i]);
#pragma unroll
        for (int i = 0; i < AT_ONCE; i++) {
            unsigned char* record = SHARED_AT(to + group(i) * RECORD);
            record[at] = (unsigned char)(code[i] >> 8);
            record[at + 4] = (unsigned char)(code[i] & 255);
            if (lane == 0) *(uint2*)(record + 64) = uint2{float_to_bits(largest[i] * (1.f / 32512.f)), (u32)sum[i]};
        }
    }
}
