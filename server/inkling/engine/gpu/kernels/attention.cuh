// Rotary embedding, the new keys and values, attention with sinks: phase B.
//
// The work of a key/value head is cut by keys: chunk c of 32 keys belongs to split c % splits (a block) and
// there to key warp (c / splits) % KEY_WARPS, wherever the window begins, so that a row's sums are the same
// in every pass. The last block of a head joins the splits. A window is so short that one block does it all.

struct Keys {  // what the rows of a pass see: positions from `oldest`, chunks [first, last)
    int oldest, end;
    int first, last;
    int splits, first_split;  // how many share the chunks, and whose the first is
};

// The first chunk of a split; at or behind keys.last if it has none.
DEVICE int first_chunk(const Keys& keys, int split) {
    int behind = split - keys.first_split;
    return keys.first + behind + (behind < 0 ? keys.splits : 0);
}

// Rotate queries into shared memory. The pass's own keys and values go to the cache by every block that will
// read them: the same bits each time.
DEVICE void rotate_head(const Pass& p, const Cache& cache, int head, float* queries) {
    constexpr int HALF = HEAD_DIM / 2;
#pragma unroll 1
    for (int i = threadIdx.x; i < row_end(p) * (PER_KV + 2) * HALF; i += THREADS) {
        int r = i / ((PER_KV + 2) * HALF), q = i / HALF % (PER_KV + 2), d = i % HALF;
        int column = q < PER_KV ? head * PER_KV + q : HEADS + (q - PER_KV) * KV_HEADS + head;
        const float* from = p.scratch + AT_QKV + (size_t)r * QKV + column * HEAD_DIM;
        float low = load_fresh(from + d), high = load_fresh(from + HALF + d);
        if (q == PER_KV + 1) {
            int row = kv_row(p.page_table, p.start + r, head);
            store_two(cache.values, cache.value_scales, row, d, low, high);
            continue;
        }
        float2 turn = p.rotary[(size_t)(p.start + r) * HALF + d];
        float a = low * turn.x - high * turn.y, b = high * turn.x + low * turn.y;
        if (q == PER_KV) {
            int row = kv_row(p.page_table, p.start + r, head);
            store_two(cache.keys, cache.key_scales, row, d, a, b);
        } else {
            queries[(r * PER_KV + q) * HEAD_DIM + d] = a * SCORE_SCALE;
            queries[(r * PER_KV + q) * HEAD_DIM + HALF + d] = b * SCORE_SCALE;
        }
    }
    block_barrier();
}

// Of a warp: for each row r and head h.
#define EACH_QUERY                                   \
    _Pragma("unroll") for (int r = 0; r < ROWS; r++) \
        _Pragma("unroll") for (int h = 0; h < HEADS_PER_WARP; h++)

struct Running {  // an online softmax over chunks, for this warp's rows and heads
    float largest[ROWS][HEADS_PER_WARP], weight[ROWS][HEADS_PER_WARP];
    float out[ROWS][HEADS_PER_WARP][2];  // dimensions 2 * lane and 2 * lane + 1
};

// Keys and values of KEY_WARPS chunks, all of a block's threads together, into shared memory: the round of
// chunks whose number among all that the split could have is round * KEY_WARPS and more. Zeros where there
// are none. The rows are padded, so that lanes that read the same piece of neighbouring keys do not collide.
DEVICE int chunk_of(const Keys& seen, int split, int round, int key_warp) {
    return (round * KEY_WARPS + key_warp) * seen.splits + (seen.splits > 1 ? split : 0);
}
DEVICE int staged(int is_value, int key_warp) { return STAGE_AT + (is_value * KEY_WARPS + key_warp) * CHUNK * KEY_ROW; }

DEVICE void stage_keys(const Pass& p, const Cache& cache, const Keys& seen, int head, int split, int round) {
    constexpr int PIECE = 16 / sizeof(Stored), TO_VALUES = KEY_WARPS * CHUNK * KEY_ROW;
    int key = threadIdx.x / HEAD_TEAMS, key_warp = key / CHUNK;
    int position = chunk_of(seen, split, round, key_warp) * CHUNK + key % CHUNK;
    bool is_there = position < seen.end && position >= seen.oldest;
    int row = kv_row(p.page_table, is_there ? position : p.start, head);
    if (key_warp < KEY_WARPS)
#pragma unroll
        for (int piece = threadIdx.x % HEAD_TEAMS; piece < STORED_ROW / 16; piece += HEAD_TEAMS) {
            int to = staged(0, 0) + key * KEY_ROW + piece * 16;
            if (is_there) {
                copy_16(to, (const char*)(cache.keys + row + piece * PIECE));
                copy_16(to + TO_VALUES, (const char*)(cache.values + row + piece * PIECE));
            } else {
                *(uint4*)SHARED_AT(to) = uint4{0, 0, 0, 0};
                *(uint4*)SHARED_AT(to + TO_VALUES) = uint4{0, 0, 0, 0};
            }
#if KV_BITS == 8
            if (piece == 0) {
                *(u16*)SHARED_AT(to + STORED_ROW) = is_there ? cache.key_scales[row / HEAD_DIM] : 0;
                *(u16*)SHARED_AT(to + TO_VALUES + STORED_ROW) = is_there ? cache.value_scales[row / HEAD_DIM] : 0;
            }
#endif
        }
    commit_copies();
    wait_for_copies<0>();
    block_barrier();
}

DEVICE void attend_chunk(const Pass& p, const Keys& seen, bool is_sliding, int chunk, int key_warp, int first_query,
                         Running& run) {
    int lane = threadIdx.x & 31;
    int position = chunk * CHUNK + lane;
    bool is_there = position < seen.end && position >= seen.oldest;
    float score[ROWS][HEADS_PER_WARP] = {};
    int key = staged(0, key_warp) + lane * KEY_ROW;
#pragma unroll 1
    for (int i = 0; i < HEAD_DIM / 8; i++) {
        float k[8];
        load_eight(key, i * 8, k);
#pragma unroll
        for (int r = 0; r < ROWS; r++)
#pragma unroll
            for (int h = 0; h < HEADS_PER_WARP; h++) {
                if (ROWS > 1 && r >= p.num_rows) continue;
                int q = first_query + h < PER_KV ? first_query + h : 0;
                const float4* query = (const float4*)SHARED_AT(X_AT + ((r * PER_KV + q) * HEAD_DIM + i * 8) * 4);
                float sum = score[r][h];
#pragma unroll
                for (int j = 0; j < 2; j++) {
                    float4 four = query[j];
                    sum = fma_rn(k[4 * j], four.x, sum), sum = fma_rn(k[4 * j + 1], four.y, sum);
                    sum = fma_rn(k[4 * j + 2], four.z, sum), sum = fma_rn(k[4 * j + 3], four.w, sum);
                }
                score[r][h] = sum;
            }
    }
#if KV_BITS == 8
    float key_scale = half_to_float(*(const u16*)SHARED_AT(key + STORED_ROW));
    EACH_QUERY score[r][h] *= key_scale;
#endif
    float top[ROWS][HEADS_PER_WARP], share[ROWS][HEADS_PER_WARP], sum[ROWS][HEADS_PER_WARP];
    // Everything in step for all rows and heads: chains of waiting in parallel, and few loops.
    EACH_QUERY {
        int own = p.start + r;
        bool is_seen = is_there && position <= own && (!is_sliding || position > own - WINDOW);
        if (!is_seen) score[r][h] = -1e30f;
        top[r][h] = score[r][h];
    }
#pragma unroll 1
    for (int far = 16; far; far >>= 1) EACH_QUERY {
            float other = shuffle_xor(top[r][h], far);
            top[r][h] = other > top[r][h] ? other : top[r][h];
        }
    EACH_QUERY {
        top[r][h] = top[r][h] > run.largest[r][h] ? top[r][h] : run.largest[r][h];
        float shrink = exponential(run.largest[r][h] - top[r][h]);
        share[r][h] = score[r][h] > -1e30f ? exponential(score[r][h] - top[r][h]) : 0.f;
        sum[r][h] = share[r][h];
        run.weight[r][h] *= shrink, run.out[r][h][0] *= shrink, run.out[r][h][1] *= shrink;
        run.largest[r][h] = top[r][h];
    }
#pragma unroll 1
    for (int far = 16; far; far >>= 1) EACH_QUERY sum[r][h] += shuffle_xor(sum[r][h], far);
    EACH_QUERY run.weight[r][h] += sum[r][h];
#if KV_BITS == 8
    float value_scale = half_to_float(*(const u16*)SHARED_AT(staged(1, key_warp) + lane * KEY_ROW + STORED_ROW));
    EACH_QUERY share[r][h] *= value_scale;
#endif
    // Now a lane is two dimensions, and the keys come one after another.
    int dimension = lane * 2 < HEAD_DIM ? lane * 2 : 0;
#pragma unroll 4
    for (int j = 0; j < CHUNK; j++) {
        float v0, v1;
        load_two(staged(1, key_warp) + j * KEY_ROW, dimension, v0, v1);
        EACH_QUERY {
            float portion = shuffle(share[r][h], j);
            run.out[r][h][0] = fma_rn(portion, v0, run.out[r][h][0]);
            run.out[r][h][1] = fma_rn(portion, v1, run.out[r][h][1]);
        }
    }
}

DEVICE float* attended(const Pass& p, int q, int head, int d) {
    return p.scratch + AT_ATTENDED + (size_t)(q / PER_KV) * ATTENDED + (head * PER_KV + q % PER_KV) * HEAD_DIM + d;
}

// Join the key warps of this block for each query, into `mine`, or (null) with the sinks to the result.
DEVICE void join_key_warps(const Pass& p, const Layer& layer, const float* parts, int head, float* mine) {
#pragma unroll 1
    for (int i = threadIdx.x; i < row_end(p) * PER_KV * HEAD_DIM; i += THREADS) {
        int q = i / HEAD_DIM, d = i % HEAD_DIM;
        float sink = layer.sinks[head * PER_KV + q % PER_KV], top = mine ? -1e30f : sink, total = 0.f, sum = 0.f;
#pragma unroll 1
        for (int w = 0; w < KEY_WARPS; w++) {
            float other = parts[(w * QUERIES + q) * PART + HEAD_DIM];
            top = other > top ? other : top;
        }
#pragma unroll 1
        for (int w = 0; w < KEY_WARPS; w++) {
            const float* part = parts + (w * QUERIES + q) * PART;
            float shrink = exponential(part[HEAD_DIM] - top);
            sum = fma_rn(part[d], shrink, sum), total = fma_rn(part[HEAD_DIM + 1], shrink, total);
        }
        if (!mine) {
            *attended(p, q, head, d) = sum / (total + exponential(sink - top));
            continue;
        }
        mine[q * PART + d] = sum;
        if (d == 0) mine[q * PART + HEAD_DIM] = top, mine[q * PART + HEAD_DIM + 1] = total;
    }
}

// Join the splits of a head, and its sinks: one more score per query that takes weight and brings no value.
DEVICE void join_splits(const Pass& p, const Layer& layer, const Keys& seen, int head) {
#pragma unroll 1
    for (int i = threadIdx.x; i < row_end(p) * PER_KV * HEAD_DIM; i += THREADS) {
        int q = i / HEAD_DIM, d = i % HEAD_DIM, h = head * PER_KV + q % PER_KV;
        const float* all = p.scratch + AT_PARTS + ((size_t)head * QUERIES + q) * PART;
        constexpr size_t STEP = (size_t)KV_HEADS * QUERIES * PART;
        float sink = layer.sinks[h], top = sink, total = 0.f, sum = 0.f;
        // What an idle split has left there is loaded too and not used: loads without conditions overlap.
        float tops[SPLITS], totals[SPLITS], sums[SPLITS];
#pragma unroll
        for (int split = 0; split < SPLITS; split++) {
            tops[split] = load_fresh(all + split * STEP + HEAD_DIM);
            totals[split] = load_fresh(all + split * STEP + HEAD_DIM + 1);
            sums[split] = load_fresh(all + split * STEP + d);
        }
#pragma unroll
        for (int split = 0; split < SPLITS; split++) {
            if (first_chunk(seen, split) >= seen.last) tops[split] = -1e30f, totals[split] = 0.f, sums[split] = 0.f;
            top = tops[split] > top ? tops[split] : top;
        }
#pragma unroll
        for (int split = 0; split < SPLITS; split++) {
            float shrink = exponential(tops[split] - top);
            sum = fma_rn(sums[split], shrink, sum), total = fma_rn(totals[split], shrink, total);
        }
        *attended(p, q, head, d) = sum / (total + exponential(sink - top));
    }
}

// Pull the keys and values this block will attend to into L2; they do not wait for the queries.
DEVICE void prefetch_keys(const Pass& p, u64 layer_index, const Keys& seen) {
    int head = blockIdx.x % KV_HEADS, split = blockIdx.x / KV_HEADS;
    if (split >= seen.splits) return;
    int chunk = first_chunk(seen, split) + seen.splits * (threadIdx.x >> 5);
#pragma unroll 1
    for (; chunk < seen.last; chunk += seen.splits * WARPS) {
        int position = chunk * CHUNK + (threadIdx.x & 31);
        if (position >= p.start || position < seen.oldest) continue;
        size_t row = layer_index * p.layer_stride + kv_row(p.page_table, position, head);
        prefetch_l2((const char*)(p.keys + row));
        prefetch_l2((const char*)(p.values + row));
#if KV_BITS == 8
        prefetch_l2((const char*)(p.key_scales + row / HEAD_DIM));
        prefetch_l2((const char*)(p.value_scales + row / HEAD_DIM));
#endif
    }
}

DEVICE Keys seen_keys(const Pass& p, bool is_sliding) {
    Keys seen;
    seen.oldest = is_sliding && p.start + 1 > WINDOW ? p.start + 1 - WINDOW : 0;
    seen.end = p.start + row_end(p);
    seen.first = seen.oldest / CHUNK;
    seen.last = (seen.end - 1) / CHUNK + 1;
    seen.splits = is_sliding ? 1 : SPLITS;
    seen.first_split = is_sliding ? 0 : seen.first % SPLITS;
    return seen;
}

DEVICE void attend(const Pass& p, const Layer& layer, u64 layer_index) {
    int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
    Cache cache = layer_cache(p, layer_index);
    Keys seen = seen_keys(p, layer.is_sliding);
    int active = seen.last - seen.first < seen.splits ? seen.last - seen.first : seen.splits;

    float* queries = (float*)SHARED_AT(X_AT);  // [QUERIES, HEAD_DIM], rotated and scaled
    float* parts = (float*)SHARED_AT(STAGE_AT);  // [KEY_WARPS, QUERIES, PART], where keys and values were before

#pragma unroll 1
    for (int unit = blockIdx.x; unit < seen.splits * KV_HEADS; unit += BLOCKS) {
        int head = unit % KV_HEADS, split = unit / KV_HEADS, first = first_chunk(seen, split);
        if (first >= seen.last) continue;
        rotate_head(p, cache, head, queries);
        int first_query = warp % HEAD_TEAMS * HEADS_PER_WARP, key_warp = warp / HEAD_TEAMS;
        bool is_sliding = layer.is_sliding;
        Running run = {};
        EACH_QUERY run.largest[r][h] = -1e30f;
#pragma unroll 1
        for (int round = first / seen.splits / KEY_WARPS; chunk_of(seen, split, round, 0) < seen.last; round++) {
            stage_keys(p, cache, seen, head, split, round);
            int chunk = chunk_of(seen, split, round, key_warp);
            if (chunk >= first && chunk < seen.last && first_query < PER_KV)
                attend_chunk(p, seen, is_sliding, chunk, key_warp, first_query, run);
            block_barrier();
        }
#pragma unroll
        for (int r = 0; r < ROWS; r++)
#pragma unroll
            for (int h = 0; h < HEADS_PER_WARP; h++) {
                if (first_query + h >= PER_KV) break;
                float* part = parts + (key_warp * QUERIES + r * PER_KV + first_query + h) * PART;
                if (lane * 2 < HEAD_DIM) part[lane * 2] = run.out[r][h][0], part[lane * 2 + 1] = run.out[r][h][1];
                if (lane == 0) part[HEAD_DIM] = run.largest[r][h], part[HEAD_DIM + 1] = run.weight[r][h];
            }
        block_barrier();
        if (active == 1) {
            join_key_warps(p, layer, parts, head, 0);
        } else {
            join_key_warps(p, layer, parts, head, p.scratch + AT_PARTS + (size_t)(split * KV_HEADS + head) * QUERIES * PART);
            if (is_last_block(p.tickets + head, active)) join_splits(p, layer, seen, head);
        }
        block_barrier();
    }
}
