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

DEVICE int larger(int a, int b) { return a > b ? a : b; }
// |f| as bits, which are ordered like it.
DEVICE int magnitude_bits(float f) { return (int)(float_to_bits(f) & 0x7fffffffu); }

// Where activations come from: what blocks have written in this pass, a row every `stride` floats, or (null) the
// rows of the residual stream, normed; in the order of `perm` (null: as they are), which is one matrix's or, from pair
// `first_pair` on (-1: no pairs), of each row's own expert.
struct Source {
    const float* written;
    int stride;
    const float* norm;
    const short* perm;
    int first_pair;
};

// Activations k to k + 3 of a row.
DEVICE float4 load_activations(const Source& source, int row, int k, int width) {
    const float* from = source.written ? source.written + (size_t)row * source.stride : source.norm;
    const float* residual = RESIDUAL + row * HIDDEN;
    float4 v, x = {1.f, 1.f, 1.f, 1.f};
    if (source.perm) {
        const short* own = source.first_pair < 0 ? source.perm : source.perm + (size_t)S.expert[source.first_pair + row] * width;
        const u32* pairs = (const u32*)(own + k);
        u32 low = pairs[0], high = pairs[1];
        int at_0 = low & 0xFFFF, at_1 = low >> 16, at_2 = high & 0xFFFF, at_3 = high >> 16;
        v = float4{load_fresh(from + at_0), load_fresh(from + at_1), load_fresh(from + at_2), load_fresh(from + at_3)};
        if (!source.written) x = float4{residual[at_0], residual[at_1], residual[at_2], residual[at_3]};
    } else {
        v = load_fresh_4(from + k);
        if (!source.written) x = *(const float4*)(residual + k);
    }
    if (!source.written) {
        float scale = S.inverse_rms[row];
        v.x *= x.x * scale, v.y *= x.y * scale, v.z *= x.z * scale, v.w *= x.w * scale;
    }
    return v;
}

// Records of `rows` rows of `groups` * 32 activations each, in the order in which a matrix stores its rows. Not
// inlined: four places need it in every layer.
//
// Eight lanes take a group, four activations each: a load of 16 bytes, and three shuffles where a reduction
// over a whole warp would serve one group only.
NOINLINE void quantize(int groups, int rows, const Source source) {
    // In step with each other: one alone is a long chain of waiting, more are too much code. On an H200
    // a pass takes 1.49 ms with 1, 1.45 with 2, 1.48 with 3, 1.64 with 6.
    constexpr int AT_ONCE = 2;
    int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, total = rows * groups;
    int first_k = (lane & 7) * 4, at = ((lane & 6) << 3) + ((lane & 1) << 1);
#pragma unroll 1
    for (int turn = warp * 4; turn < total; turn += WARPS * 4 * AT_ONCE) {
        int record[AT_ONCE];
        float4 v[AT_ONCE];
#pragma unroll
        for (int i = 0; i < AT_ONCE; i++) {
            // The last group again rather than none, so that there are no branches.
            int unit = at_most(turn + i * WARPS * 4 + (lane >> 3), total - 1), row = unit / groups;
            record[i] = X_AT + unit * RECORD;
            v[i] = load_activations(source, row, (unit - row * groups) * 32 + first_k, groups * 32);
        }
        int most_bits[AT_ONCE], sum[AT_ONCE], code[AT_ONCE][4];
        float largest[AT_ONCE];
#pragma unroll
        for (int i = 0; i < AT_ONCE; i++)
            most_bits[i] = larger(larger(magnitude_bits(v[i].x), magnitude_bits(v[i].y)),
                                  larger(magnitude_bits(v[i].z), magnitude_bits(v[i].w)));
#pragma unroll
        for (int far = 1; far < 8; far <<= 1)
#pragma unroll
            for (int i = 0; i < AT_ONCE; i++) most_bits[i] = larger(most_bits[i], shuffle_xor(most_bits[i], far));
#pragma unroll
        for (int i = 0; i < AT_ONCE; i++) {
            largest[i] = bits_to_float((u32)most_bits[i]);
            largest[i] = largest[i] > 1e-20f ? largest[i] : 1e-20f;
            float scale = 32512.f * reciprocal(largest[i]);
            code[i][0] = round_to_int(v[i].x * scale), code[i][1] = round_to_int(v[i].y * scale);
            code[i][2] = round_to_int(v[i].z * scale), code[i][3] = round_to_int(v[i].w * scale);
            sum[i] = code[i][0] + code[i][1] + (code[i][2] + code[i][3]);
        }
#pragma unroll
        for (int far = 1; far < 8; far <<= 1)
#pragma unroll
            for (int i = 0; i < AT_ONCE; i++) sum[i] += shuffle_xor(sum[i], far);
#pragma unroll
        for (int i = 0; i < AT_ONCE; i++) {
            unsigned char* bytes = SHARED_AT(record[i] + at);
#pragma unroll
            for (int odd = 0; odd < 2; odd++) {
                int one = code[i][odd], other = code[i][odd + 2];
                *(u16*)(bytes + 8 * odd) = (u16)((one >> 8 & 255) | (other & 0xFF00));
                *(u16*)(bytes + 8 * odd + 4) = (u16)((one & 255) | other << 8);
            }
            if ((lane & 7) == 0)
                *(uint2*)SHARED_AT(record[i] + 64) = uint2{float_to_bits(largest[i] * (1.f / 32512.f)), (u32)sum[i]};
        }
    }
}
