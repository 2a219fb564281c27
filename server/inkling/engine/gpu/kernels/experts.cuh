// Which experts a row goes to, and their matrices: the end of phase C, phases D and E.

// logit = 1/rms * sum over k of residual * norm * router: a sum over columns, so each block adds up its own,
// sixteen lanes an expert.
DEVICE void add_router_part(const Pass& p, int columns) {
    constexpr int LANES = 16, PIECES = (HIDDEN_TILES * 8 + LANES - 1) / LANES;
    int lane = threadIdx.x % LANES;
#pragma unroll 1
    for (int first = threadIdx.x / 32 * 2; first < EXPERTS; first += THREADS / LANES) {
        int e = first + threadIdx.x / LANES % 2;
        float weight[PIECES];
#pragma unroll
        for (int i = 0; i < PIECES; i++)
            weight[i] = e < EXPERTS && lane + i * LANES < columns ? S.router[e][lane + i * LANES] : 0.f;
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

// What blocks have added up of a row's router logits: each warp has some blocks', a lane its expert's.
struct RouterParts {
    float of_blocks[(BLOCKS + WARPS - 1) / WARPS];
};

DEVICE RouterParts load_router_parts(const Pass& p, int r) {
    int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
    RouterParts parts;
#pragma unroll
    for (int t = 0; t * WARPS < BLOCKS; t++) {
        int block = t * WARPS + warp;
        bool is_there = block < BLOCKS && lane < EXPERTS;
        parts.of_blocks[t] = is_there ? load_fresh(p.scratch + AT_ROUTER + ((size_t)block * ROWS + r) * EXPERTS + lane) : 0.f;
    }
    return parts;
}
DEVICE float sum_of(const RouterParts& parts) {
    float sum = 0.f;
#pragma unroll
    for (int t = 0; t * WARPS < BLOCKS; t++) sum += parts.of_blocks[t];
    return sum;
}

// The TOP_K experts of each row, best first, and their weights; every block comes to the same. `first`: of the first
// row's router logits what this warp has.
DEVICE void choose_experts(const Pass& p, const Layer& layer, float first) {
    float* of_warps = (float*)SHARED_AT(X_AT);  // [WARPS, ROWS, EXPERTS]: there are no activations now
    int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
#pragma unroll 1
    for (int r = 0; r < row_end(p); r++) {
        float sum = r ? sum_of(load_router_parts(p, r)) : first;
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

// The table of items, once the experts are known: gate_up's units, then down's tiles, DOWN_PAIRS pairs a turn. Their
// biases are on their way then. By the last threads: the first have the activations to quantize meanwhile.
DEVICE void plan_experts(const Mix& mix, const Layer& layer) {
#pragma unroll 1
    for (int i = THREADS - 1 - threadIdx.x; i < mix.units + mix.tiles * mix.pairs; i += THREADS) {
        int at = i, tile;
        const float* bias = layer.gate_up_bias;
        if (i < mix.units) {
            tile = unit_tile(mix.unit + i);
            S.items[i] = Item{tile, (mix.unit + i) / UNITS_OF_PAIR / TOP_K * (HIDDEN / 32 * RECORD)};
        } else {
            int mine = (i - mix.units) / mix.pairs, pair = i - mix.units - mine * mix.pairs, first = pair / DOWN_PAIRS * DOWN_PAIRS;
            tile = down_tile(mix, mine, pair), bias = layer.down_bias;
            at = mix.units + first * mix.tiles + down_item(mix.tiles, mine, pair - first);
            S.items[at] = Item{tile, (pair - first) * (INTER / 32 * RECORD)};
        }
        for (int half = 0; half < 2; half++)
            copy_16(byte_of(S.item_bias[at]) + half * 16, (const char*)(bias + (size_t)tile * 8 + half * 4));
    }
}

// The units of gate_up from the block's `done`th on that it takes now; how many.
DEVICE int next_units(const Mix& mix, int done, bool is_permuted) {
    int left = at_most(mix.units - done, EXPERT_ITEMS);
    // Permuted, each expert has an order of its own: one pair at a time.
    return is_permuted ? at_most(left, UNITS_OF_PAIR - (mix.unit + done) % UNITS_OF_PAIR) : left;
}

DEVICE void finish_gate_up(const Pass& p, const Mix& mix, int done, int count) {
#pragma unroll 1
    for (int i = threadIdx.x; i < count * 4; i += THREADS) {
        int item = i / 4, column = i % 4, unit = mix.unit + done + item, pair = unit / UNITS_OF_PAIR, tile = unit - pair * UNITS_OF_PAIR;
        const float* bias = S.item_bias[done + item] + column * 2;
        float gate = bias[0] + sum_of<1>(GATE_UP_CUT, item, 0, column * 2);
        float up = bias[1] + sum_of<1>(GATE_UP_CUT, item, 0, column * 2 + 1);
        u16* gated = (u16*)(p.scratch + AT_GATED) + (size_t)pair * INTER;
        gated[tile * 4 + column] = float_to_half(within_half(swiglu(gate, up)));
    }
}

DEVICE void finish_down(const Pass& p, const Mix& mix, int first, int pairs) {
#pragma unroll 1
    for (int i = threadIdx.x; i < pairs / TOP_K * mix.tiles * 8; i += THREADS) {
        int row = i / (mix.tiles * 8), column = i - row * mix.tiles * 8, r = first / TOP_K + row;
        float mixed = 0.f;
#pragma unroll
        for (int k = 0; k < TOP_K; k++) {
            int item = down_item(mix.tiles, column / 8, row * TOP_K + k);
            float sum = S.item_bias[mix.units + first * mix.tiles + item][column % 8] + sum_of<1>(DOWN_CUT, item, 0, column % 8);
            mixed = fma_rn(sum, S.weight[r * TOP_K + k], mixed);
        }
        p.scratch[AT_MIXED + (size_t)r * HIDDEN + mix.first_tile * 8 + column] = mixed;
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
    if (!from) return;
#pragma unroll 1
    for (int at = blockIdx.x * 128; at < bytes; at += BLOCKS * 128) prefetch_l2(from + at);
}

// Whether the compiler may know how tiles are cut.
constexpr bool IS_ONE_CUT = GATE_UP_BITS == DOWN_BITS && HIDDEN == INTER;

// Phases D and E. One loop for both, so that the product's code exists once, or once for each of two widths.
DEVICE void mix_experts(const Pass& p, Ring& ring, int index) {
    const Layer& layer = S.layers[index];
    const Mix& mix = S.mix;
    if (threadIdx.x == 0) tell_experts(index);
    plan_experts(mix, layer);
    bool is_permuted = layer.gate_up.perm;
    int done = 0, first = 0;  // of the units, of the pairs that down has behind it
#pragma unroll 1
    while (first < mix.pairs) {
        bool is_down = done == mix.units, is_first_of_down = is_down && first == 0;
        int here = at_most(mix.pairs - first, DOWN_PAIRS);
        int items = is_down ? mix.units : 0, begin = is_down ? first * mix.tiles : done;
        int count = is_down ? here * mix.tiles : next_units(mix, done, is_permuted);
        if (is_first_of_down)
            grid_arrive(p);
        else if (done + first)
            block_barrier();  // of the last turn nothing is read any more
        if (is_first_of_down) {
            if (index + 1 < LAYERS) prefetch_vectors((&layer)[1]);
            grid_wait(p);
        }
        // Down's activations are the pairs'; of gate_up's rows, all of them, a permuted pair uses only its own.
        const short* perm = is_down ? layer.down.perm : layer.gate_up.perm;
        if (perm && !is_down) perm += (size_t)S.expert[(mix.unit + done) / UNITS_OF_PAIR] * HIDDEN;
        if (is_down || is_permuted || done == 0)
            quantize((is_down ? INTER : HIDDEN) / 32, is_down ? here : row_end(p),
                     Source{is_down ? (const u16*)(p.scratch + AT_GATED) + (size_t)first * INTER : (const u16*)0, perm, is_down ? first : -1});
        block_barrier();
        Turn turn = {begin, count, items, 0, 0, 0, 1};
        Cut cut = GATE_UP_CUT;
        if (!IS_ONE_CUT && is_down) cut = DOWN_CUT;
        if (GATE_UP_BITS != DOWN_BITS && is_down)
            multiply<DOWN_BITS, 1>(ring, cut, turn);
        else
            multiply<GATE_UP_BITS, 1>(ring, cut, turn);
        wait_for_copies();
        block_barrier();
        if (is_down)
            finish_down(p, mix, first, here), first += here;
        else
            finish_gate_up(p, mix, done, count), done += count;
    }
}
