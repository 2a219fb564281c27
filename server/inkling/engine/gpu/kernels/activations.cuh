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

// Records of `rows` rows of `groups` * 32 activations each, from byte `to` of shared memory on, in the order
// in which the matrix stores its rows: what blocks have written in this pass, a row every `stride` floats, or
// (null) the rows of the residual stream, normed. `perm` is the order of one matrix, or, from pair `first_pair`
// on (-1: no pairs), of each row's own expert. Not inlined: four places need it in every layer, and code that
// comes first in a layer costs more time than it takes to run.
NOINLINE void quantize(int to, int groups, int rows, const float* written, int stride, const float* norm, const short* perm,
                       int first_pair) {
    constexpr int AT_ONCE = 3;  // in step with each other: one alone is a long chain of waiting
    int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
    int at = ((lane >> 3) << 4) + ((lane & 1) << 3) + ((lane & 7) >> 1);
    if (warp >= groups) return;
    int k[AT_ONCE], next_k[AT_ONCE];
    float v[AT_ONCE], next[AT_ONCE];
    // The last group again rather than none, so that there are no branches.
    auto group = [&](int first, int i) { return first + i * WARPS < groups ? first + i * WARPS : first; };
    // A turn's loads are on their way while the turn before is worked on.
    int row = 0, first = warp, last_row = -1, last_first = 0;
#pragma unroll 1
    while (true) {
        if (row < rows) {
            const float* from = written ? written + (size_t)row * stride : norm;
#pragma unroll
            for (int i = 0; i < AT_ONCE; i++) next_k[i] = group(first, i) * 32 + lane;
            if (perm) {
                const short* own = first_pair < 0 ? perm : perm + (size_t)S.expert[first_pair + row] * groups * 32;
#pragma unroll
                for (int i = 0; i < AT_ONCE; i++) next_k[i] = (u16)own[next_k[i]];
            }
#pragma unroll
            for (int i = 0; i < AT_ONCE; i++) next[i] = load_fresh(from + next_k[i]);
        }
        if (last_row >= 0) {
            int code[AT_ONCE], sum[AT_ONCE];
            float largest[AT_ONCE];
            if (!written) {
                float scale = S.inverse_rms[last_row];
#pragma unroll
                for (int i = 0; i < AT_ONCE; i++) v[i] *= RESIDUAL[last_row * HIDDEN + k[i]] * scale;
            }
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
                unsigned char* record = SHARED_AT(to + (last_row * groups + group(last_first, i)) * RECORD);
                record[at] = (unsigned char)(code[i] >> 8);
                record[at + 4] = (unsigned char)(code[i] & 255);
                if (lane == 0) *(uint2*)(record + 64) = uint2{float_to_bits(largest[i] * (1.f / 32512.f)), (u32)sum[i]};
            }
        }
        if (row >= rows) return;
#pragma unroll
        for (int i = 0; i < AT_ONCE; i++) v[i] = next[i], k[i] = next_k[i];
        last_row = row, last_first = first;
        first += WARPS * AT_ONCE;
        if (first >= groups) first = warp, row++;
    }
}
