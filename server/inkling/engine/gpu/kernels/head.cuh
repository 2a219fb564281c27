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

DEVICE void head_and_choose(const Pass& p, Ring& ring) {
    constexpr int ROW_BYTES = HIDDEN / 32 * RECORD;
    int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
    int first_tile = share_begin(blockIdx.x, VOCAB / 8), tiles = share_begin(blockIdx.x + 1, VOCAB / 8) - first_tile;
    int first_row = p.first_logits, rows = row_end(p) - first_row;
    float best[ROWS];
    int token[ROWS];
#pragma unroll
    for (int r = 0; r < ROWS; r++) best[r] = -1e30f, token[r] = 0x7fffffff;
#pragma unroll 1
    for (int done = 0; done < tiles; done += HEAD_TILES) {
        int count = at_most(tiles - done, HEAD_TILES);
        multiply<HEAD_BITS, ROWS>(ring, HEAD_CUT, Turn{done, count, -1, first_tile + done, first_row * ROW_BYTES, ROW_BYTES, rows});
        block_barrier();
#pragma unroll 1
        for (int i = threadIdx.x; i < count * 8; i += THREADS) {
            int column = (first_tile + done) * 8 + i;
#pragma unroll
            for (int r = 0; r < ROWS; r++) {
                if (r >= rows) break;
                float value = sum_of<ROWS>(HEAD_CUT, i / 8, r, i % 8);
                p.logits[(size_t)(first_row + r) * VOCAB + column] = value;
                if (is_better(value, column, best[r], token[r])) best[r] = value, token[r] = column;
            }
        }
        block_barrier();
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
