// Logits, and the likeliest token of each row (the lowest id among equals).

DEVICE bool is_better(float value, int token, float than, int than_token) {
    return value > than || (value == than && token < than_token);
}

// The best over the lanes of a warp, in every lane.
DEVICE void best_of_warp(float& value, int& token) {
#pragma unroll 1
    for (int far = 16; far; far >>= 1) {
        float other = shuffle_xor(value, far);
        int candidate = (int)float_to_bits(shuffle_xor(bits_to_float((u32)token), far));
        if (is_better(other, candidate, value, token)) value = other, token = candidate;
    }
}

// A warp takes whole tiles of its own, from `tile` on, up to HEAD_TILES at a time, and needs no other's sums.
DEVICE Walk head_walk(const Pass& p, int tile) {
    constexpr int GROUPS = HIDDEN / 32, QUADS = (GROUPS + 3) / 4;
    int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
    int left = (share_begin(blockIdx.x + 1, VOCAB / 8) - tile + WARPS - 1) / WARPS;
    left = left < HEAD_TILES ? left : HEAD_TILES;
    if (lane < left) S.items[warp + lane * WARPS] = Item{tile + lane * WARPS, p.first_logits * GROUPS * RECORD};
    warp_barrier();
    return Walk{0, WARPS, 0, 0, QUADS, left * QUADS, 1, 0, warp};
}

DEVICE int head_tile() { return share_begin(blockIdx.x, VOCAB / 8) + (threadIdx.x >> 5); }

// `walk` and `stream`: of the first tiles, begun already.
DEVICE void head_and_choose(const Pass& p, Walk walk, Stream stream) {
    constexpr int TILES = VOCAB / 8, GROUPS = HIDDEN / 32, QUADS = (GROUPS + 3) / 4;
    int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
    int first_tile = share_begin(blockIdx.x, TILES), tiles = share_begin(blockIdx.x + 1, TILES) - first_tile;
    int first_row = p.first_logits, rows = row_end(p) - first_row;
    float best[ROWS];
    int token[ROWS];
#pragma unroll
    for (int r = 0; r < ROWS; r++) best[r] = -1e30f, token[r] = 0x7fffffff;
    const float* slot = SLOTS + warp * ROWS * 8;
#pragma unroll 1
    for (int tile = head_tile(); tile < first_tile + tiles; tile += WARPS * HEAD_TILES) {
        int left = walk.count / QUADS;
        multiply<HEAD_BITS, ROWS>(stream, walk, GROUPS * RECORD, rows, warp * ROWS * 8);
        warp_barrier();
#pragma unroll 1
        for (int i = lane; i < left * rows * 8; i += 32) {
            int which = i / (rows * 8), r = i / 8 % rows, column = (tile + which * WARPS) * 8 + (i & 7);
            float value = slot[(which * WARPS * ROWS + r) * 8 + (i & 7)];
            p.logits[(size_t)(first_row + r) * VOCAB + column] = value;
#pragma unroll
            for (int other = 0; other < ROWS; other++)
                if (other == r && is_better(value, column, best[other], token[other]))
                    best[other] = value, token[other] = column;
        }
        warp_barrier();
        if (tile + WARPS * HEAD_TILES < first_tile + tiles) {
            walk = head_walk(p, tile + WARPS * HEAD_TILES);
            stream = start<HEAD_BITS>(p.head, GROUPS, walk);
        }
    }
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        best_of_warp(best[r], token[r]);
        if (lane == 0) S.best_value[warp][r] = best[r], S.best_token[warp][r] = token[r];
    }
    block_barrier();
    float* values = p.scratch + AT_BEST;
    int* tokens = (int*)(values + BLOCKS * ROWS);
#pragma unroll 1
    for (int r = warp; r < rows; r += WARPS) {
        float value = lane < WARPS ? S.best_value[lane][r] : -1e30f;
        int chosen = lane < WARPS ? S.best_token[lane][r] : 0x7fffffff;
        best_of_warp(value, chosen);
        if (lane == 0) values[blockIdx.x * ROWS + r] = value, tokens[blockIdx.x * ROWS + r] = chosen;
    }
    if (!is_last_block(p.tickets + KV_HEADS, BLOCKS)) return;
#pragma unroll 1
    for (int r = warp; r < rows; r += WARPS) {
        float value = -1e30f;
        int chosen = 0x7fffffff;
#pragma unroll 1
        for (int block = lane; block < BLOCKS; block += 32) {
            float other = load_fresh(values + block * ROWS + r);
            int candidate = load_fresh(tokens + block * ROWS + r);
            if (is_better(other, candidate, value, chosen)) value = other, chosen = candidate;
        }
        best_of_warp(value, chosen);
        // No logit is the best of NaNs; the next pass, which may be under way, must still find a token.
        if (lane == 0) p.chosen[first_row + r] = chosen < VOCAB ? chosen : 0;
    }
}
