// Which experts a row goes to, and their matrices: the end of phase C, phases D and E.

// logit = 1/rms * sum over k of residual * norm * router: a sum over columns, so each block adds up its own.
// Sixteen lanes to an expert, so that its weights come all at once.
DEVICE void add_router_part(const Pass& p, const Layer& layer, int first_column, int columns) {
    constexpr int LANES = 16, PIECES = (HIDDEN_TILES * 8 + LANES - 1) / LANES;
    int lane = threadIdx.x % LANES;
#pragma unroll 1
    for (int first = threadIdx.x / 32 * 2; first < EXPERTS; first += THREADS / LANES) {
        int e = first + threadIdx.x / LANES % 2;
        const float* weights = layer.router + (size_t)(e < EXPERTS ? e : 0) * HIDDEN + first_column;
        float weight[PIECES];
#pragma unroll
        for (int i = 0; i < PIECES; i++) weight[i] = lane + i * LANES < columns ? weights[lane + i * LANES] : 0.f;
#pragma unroll 1
        for (int r = 0; r < row_end(p); r++) {
            float sum = 0.f;
#pragma unroll
            for (int i = 0; i < PIECES; i++)
                if (lane + i * LANES < columns) sum = fma_rn(S.columns[r][lane + i * LANES], weight[i], sum);
#pragma unroll
            for (int far = LANES / 2; far; far >>= 1) sum += shuffle_xor(sum, far);
            if (lane == 0 && e < EXPERTS) p.scratch[AT_ROUTER + ((size_t)blockIdx.x * ROWS + r) * EXPERTS + e] = sum;
        }
    }
}

// The TOP_K experts of each row, best first, and their weights; every block comes to the same.
DEVICE void choose_experts(const Pass& p, const Layer& layer) {
    constexpr int TURNS = (BLOCKS + WARPS - 1) / WARPS;
    float* of_warps = (float*)SHARED_AT(X_AT);  // [WARPS, ROWS, EXPERTS]: there are no activations now
    int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
#pragma unroll 1
    for (int r = 0; r < row_end(p); r++) {
        float parts[TURNS], sum = 0.f;
#pragma unroll
        for (int t = 0; t < TURNS; t++) {
            int block = t * WARPS + warp;
            bool is_there = block < BLOCKS && lane < EXPERTS;
            parts[t] = is_there ? load_fresh(p.scratch + AT_ROUTER + ((size_t)block * ROWS + r) * EXPERTS + lane) : 0.f;
        }
#pragma unroll
        for (int t = 0; t < TURNS; t++) sum += parts[t];
        if (lane < EXPERTS) of_warps[(warp * ROWS + r) * EXPERTS + lane] = sum;
    }
    block_barrier();
#pragma unroll 1
    for (int r = warp; r < row_end(p); r += WARPS) {
        float sum = 0.f;
#pragma unroll
        for (int w = 0; w < WARPS; w++) sum += lane < EXPERTS ? of_warps[(w * ROWS + r) * EXPERTS + lane] : 0.f;
        float own = lane < EXPERTS ? fma_rn(sum, S.inverse_rms[r], layer.router_bias[lane]) : -1e30f;
        // The best again and again, as integers that are ordered like the logits; of equals the first.
        u32 bits = float_to_bits(own), order = lane < EXPERTS ? bits ^ ((u32)((int)bits >> 31) | 0x80000000u) : 0u;
        int rank = -1;
        float top = 0.f;
#pragma unroll 1
        for (int k = 0; k < TOP_K; k++) {
            u32 most = warp_max(order);
            int winner = 31 - (int)warp_max(order == most ? 31 - lane : 0);
            if (k == 0) top = shuffle(own, winner);
            if (lane == winner) rank = k, order = 0;
        }
        float weight = rank >= 0 ? exponential(own - top) : 0.f, total = weight;
#pragma unroll 1
        for (int far = 16; far; far >>= 1) total += shuffle_xor(total, far);
        if (rank >= 0) S.expert[r * TOP_K + rank] = lane, S.weight[r * TOP_K + rank] = weight / total;
    }
    block_barrier();
}

DEVICE float swiglu(float gate, float up) {
    gate = gate < LIMIT ? gate : LIMIT;
    up = up < LIMIT ? up : LIMIT;
    up = up > -LIMIT ? up : -LIMIT;
    return (up + 1.f) * gate * reciprocal(1.f + exponential(-1.702f * gate));
}

// Tables of items: every warp writes all of them, the same values, and need not wait for another.

// Phase D: the units (tiles of all rows' experts) from `unit` on that this block takes now; how many.
DEVICE int plan_gate_up(const Layer& layer, int unit, int last) {
    constexpr int TILES = 2 * INTER / 8, ROW_BYTES = HIDDEN / 32 * RECORD;
    int end = last;
    if (layer.gate_up.perm) {  // each expert has an order of its own: one pair at a time
        int next = (unit / TILES + 1) * TILES;
        end = next < last ? next : last;
    }
    int count = end - unit < EXPERT_ITEMS ? end - unit : EXPERT_ITEMS;
    int i = threadIdx.x & 31;
    if (i < count) {
        int pair = (unit + i) / TILES, tile = S.expert[pair] * TILES + unit + i - pair * TILES;
        S.items[EXPERT_ITEM + i] = Item{tile, pair / TOP_K * ROW_BYTES};
        prefetch_l2((const char*)(layer.gate_up_bias + tile * 8));
    }
    return count;
}

// Phase E for this block's tiles and the pairs from `first` on.
DEVICE int plan_down(const Layer& layer, int first, int pairs, int first_tile, int tiles) {
    constexpr int ROW_BYTES = INTER / 32 * RECORD;
    int count = tiles * pairs;
#pragma unroll 1
    for (int i = threadIdx.x & 31; i < count; i += 32) {
        int tile = i / pairs, pair = i - tile * pairs, at = S.expert[first + pair] * (HIDDEN / 8) + first_tile + tile;
        S.items[EXPERT_ITEM + i] = Item{at, pair * ROW_BYTES};
        prefetch_l2((const char*)(layer.down_bias + at * 8));
    }
    return count;
}

DEVICE void finish_gate_up(const Pass& p, const Layer& layer, int unit, int count) {
    constexpr int TILES = 2 * INTER / 8;
#pragma unroll 1
    for (int i = threadIdx.x; i < count * 4; i += THREADS) {
        int item = i / 4, column = i % 4, pair = (unit + item) / TILES, tile = unit + item - pair * TILES;
        const float* from = SLOTS + item * TEAM * 8 + column * 2;
        const float* bias = layer.gate_up_bias + (size_t)S.expert[pair] * 2 * INTER + tile * 8 + column * 2;
        float gate = bias[0], up = bias[1];
#pragma unroll
        for (int w = 0; w < TEAM; w++) gate += from[w * 8], up += from[w * 8 + 1];
        p.scratch[AT_GATED + (size_t)pair * INTER + tile * 4 + column] = swiglu(gate, up);
    }
}

DEVICE void finish_down(const Pass& p, const Layer& layer, int first, int pairs, int first_tile, int tiles) {
#pragma unroll 1
    for (int i = threadIdx.x; i < pairs / TOP_K * tiles * 8; i += THREADS) {
        int row = i / (tiles * 8), column = i - row * tiles * 8, r = first / TOP_K + row;
        float mixed = 0.f;
#pragma unroll
        for (int k = 0; k < TOP_K; k++) {
            int pair = r * TOP_K + k;
            const float* from = SLOTS + ((column >> 3) * pairs + row * TOP_K + k) * TEAM * 8 + (column & 7);
            float sum = layer.down_bias[(size_t)S.expert[pair] * HIDDEN + first_tile * 8 + column];
#pragma unroll
            for (int w = 0; w < TEAM; w++) sum += from[w * 8];
            mixed = fma_rn(sum, S.weight[pair], mixed);
        }
        p.scratch[AT_MIXED + (size_t)r * HIDDEN + first_tile * 8 + column] = mixed;
    }
}

// Pull into L2 what the next layer needs beside the matrices: everyone's first access to it would otherwise
// wait for memory, because the weights have pushed it out since the last pass. A line of each by each block.
DEVICE void prefetch_vectors(const Layer& layer) {
    const char* from = 0;
    int bytes = HIDDEN * 4, which = threadIdx.x;
    if (which == 0) from = (const char*)layer.input_norm;
    if (which == 1) from = (const char*)layer.post_norm;
    if (which == 2) from = (const char*)layer.out_bias;
    if (which == 3) from = (const char*)layer.qkv_bias, bytes = QKV * 4;
    if (which == 4) from = (const char*)layer.sinks, bytes = HEADS * 4;
    if (which == 5) from = (const char*)layer.router_bias, bytes = EXPERTS * 4;
    if (which == 6) from = (const char*)layer.qkv.perm, bytes = HIDDEN * 2;
    if (which == 7) from = (const char*)layer.out.perm, bytes = ATTENDED * 2;
    if (which == 8) from = (const char*)&layer, bytes = sizeof(Layer);
    if (!from) return;
#pragma unroll 1
    for (int at = blockIdx.x * 128; at < bytes; at += BLOCKS * 128) prefetch_l2(from + at);
}

// Phases D and E. One loop for both, so that the product's code exists once, or once for each of two widths.
DEVICE void mix_experts(const Pass& p, const Layer& layer, bool is_last) {
    constexpr int TILES = 2 * INTER / 8;
    int pairs = row_end(p) * TOP_K;
    int unit = share_begin(blockIdx.x, pairs * TILES), last = share_begin(blockIdx.x + 1, pairs * TILES);
    int first_tile = share_begin(blockIdx.x, HIDDEN / 8), tiles = share_begin(blockIdx.x + 1, HIDDEN / 8) - first_tile;
    int first = 0;
#pragma unroll 1
    while (first < pairs) {
        bool is_down = unit >= last, has_down_bits = GATE_UP_BITS != DOWN_BITS && is_down, is_turn = is_down && first == 0;
        int here = pairs - first < DOWN_PAIRS ? pairs - first : DOWN_PAIRS;
        int groups = is_down ? INTER / 32 : HIDDEN / 32;
        if (is_turn) grid_arrive(p);
        int count = is_down ? plan_down(layer, first, here, first_tile, tiles) : plan_gate_up(layer, unit, last);
        warp_barrier();
        Walk walk = expert_walk(groups, count);
        const Mat& m = is_down ? layer.down : layer.gate_up;
        Stream stream = has_down_bits ? start<DOWN_BITS>(m, groups, walk) : start<GATE_UP_BITS>(m, groups, walk);
        if (is_turn) {
            if (!is_last) prefetch_vectors((&layer)[1]);
            grid_wait(p);
        }
        // Down's activations are the pairs'; of gate_up's rows, all of them, a permuted pair uses only its own.
        const short* perm = m.perm;
        if (perm && !is_down) perm += (size_t)S.expert[unit / TILES] * HIDDEN;
        quantize(X_AT, groups, is_down ? here : row_end(p), is_down ? p.scratch + AT_GATED + (size_t)first * INTER : (const float*)0,
                 INTER, layer.post_norm, perm, is_down ? first : -1);
        block_barrier();
        if (has_down_bits)
            multiply_experts<DOWN_BITS>(stream, walk, count);
        else
            multiply_experts<GATE_UP_BITS>(stream, walk, count);
        block_barrier();
        if (is_down) {
            finish_down(p, layer, first, here, first_tile, tiles);
            first += here;
        } else {
            finish_gate_up(p, layer, unit, count);
            unit += count;
        }
        block_barrier();
    }
}
