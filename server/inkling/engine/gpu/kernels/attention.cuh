// Rotary embedding, the new keys and values, attention with sinks: phase B.
//
// The work of a key/value head is cut by keys: chunk c of 16 keys belongs to split c % splits (a block) and
// there to key warp (c / splits) % KEY_WARPS, wherever the window begins, so that a row's sums are the same
// in every pass. The last block of a head joins the splits. A window is so short that one block does it all.
// A warp takes a chunk for 16 queries at once, of all heads that share the keys and of all rows of the pass: the
// queries and a key's share of the weight are fp16 there, as keys and values are, and sums fp32.

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

// Keys and values of STAGED chunks, all of a block's threads together, on their way into shared memory: the round
// of chunks whose number among all that the split could have is round * STAGED and more. Zeros where there
// are none. The rows are padded, so that lanes that read the same piece of neighbouring keys do not collide.
// Those of this pass may be left out: who makes them puts them there.
enum Which { ALL_KEYS, OLD_KEYS };

DEVICE int chunk_of(const Keys& seen, int split, int round, int i) {
    return (round * STAGED + i) * seen.splits + (seen.splits > 1 ? split : 0);
}
DEVICE int staged(int is_value, int i) { return STAGE_AT + (is_value * STAGED + i) * CHUNK * KEY_ROW; }
// Where a key of a round is staged; -1 if it is another split's or round's.
DEVICE int staged_key(const Keys& seen, int split, int round, int position) {
    int chunk = position / CHUNK, i = chunk / seen.splits - round * STAGED;
    bool is_here = (seen.splits == 1 || chunk % seen.splits == split) && i >= 0 && i < STAGED;
    return is_here ? staged(0, i) + position % CHUNK * KEY_ROW : -1;
}

DEVICE void stage_keys(const Pass& p, const Cache& cache, const Keys& seen, int head, int split, int round, Which which) {
    constexpr int LANES = 4, PIECE = 16 / sizeof(Stored), TO_VALUES = STAGED * CHUNK * KEY_ROW;
#pragma unroll 1
    for (int key = threadIdx.x / LANES; key < STAGED * CHUNK; key += THREADS / LANES) {
        int position = chunk_of(seen, split, round, key / CHUNK) * CHUNK + key % CHUNK;
        if (which == OLD_KEYS && position >= p.start && position < seen.end) continue;
        bool is_there = position < seen.end && position >= seen.oldest;
        int row = kv_row(p.page_table, is_there ? position : p.start, head);
#pragma unroll
        for (int piece = threadIdx.x % LANES; piece < STORED_ROW / 16; piece += LANES) {
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
    }
}

// Rotate queries into shared memory. The pass's own keys and values go to the cache by every block that will
// read them, the same bits each time; and to shared memory where this block stages them in its first round (-1: not
// any more).
DEVICE void rotate_head(const Pass& p, const Cache& cache, const Keys& seen, int head, int split, int round) {
    constexpr int HALF = HEAD_DIM / 2;
#pragma unroll 1
    for (int i = threadIdx.x; i < row_end(p) * (PER_KV + 2) * HALF; i += THREADS) {
        int r = i / ((PER_KV + 2) * HALF), q = i / HALF % (PER_KV + 2), d = i % HALF;
        int column = q < PER_KV ? head * PER_KV + q : HEADS + (q - PER_KV) * KV_HEADS + head;
        const float* from = p.scratch + AT_QKV + (size_t)r * QKV + column * HEAD_DIM;
        float low = load_fresh(from + d), high = load_fresh(from + HALF + d);
        int row = 0, to = -1;
        if (q >= PER_KV) {
            row = kv_row(p.page_table, p.start + r, head);
            if (round >= 0) to = staged_key(seen, split, round, p.start + r);
        }
        if (q == PER_KV + 1) {
            store_two(cache.values, cache.value_scales, row, to < 0 ? to : to + STAGED * CHUNK * KEY_ROW, d, low, high);
            continue;
        }
        float2 turn = p.rotary[(size_t)(p.start + r) * HALF + d];
        float a = low * turn.x - high * turn.y, b = high * turn.x + low * turn.y;
        if (q == PER_KV) {
            store_two(cache.keys, cache.key_scales, row, to, d, a, b);
        } else {
            u16* query = (u16*)SHARED_AT(X_AT + (r * PER_KV + q) * QUERY_ROW);
            query[d] = float_to_half(within_half(a * SCORE_SCALE));
            query[HALF + d] = float_to_half(within_half(b * SCORE_SCALE));
        }
    }
    wait_for_copies();
    block_barrier();
}

// An online softmax over chunks, of a warp's 16 queries: lane 4 g + t has of queries g and g + 8 the largest score, the
// weight of the keys that it has seen itself, and dimensions 8 n + 2 t and 8 n + 2 t + 1.
struct Running {
    float largest[2], weight[2];
    float out[HEAD_DIM / 8][4];
};

// A chunk for the queries from `first_query` on. `at`: where among the staged chunks it lies.
DEVICE void attend_chunk(const Pass& p, bool is_sliding, int chunk, int at, int first_query, Running& run) {
    int lane = threadIdx.x & 31, g = lane >> 2, t = lane & 3;
    int keys = staged(0, at), values = staged(1, at), query = X_AT + (first_query + (lane & 15)) * QUERY_ROW + (lane >> 4) * 16;
    float score[2][4] = {};  // of queries g and g + 8, two keys each; of keys 0 to 7 and 8 to 15
#pragma unroll
    for (int d = 0; d < HEAD_DIM; d += 16) {
        u32 a[4], b[4];
        load_matrices(a, query + d * 2);
        load_keys(b, keys, d);
        multiply_halves(score[0], a, b[0], b[1]);
        multiply_halves(score[1], a, b[2], b[3]);
    }
    float share[2][4];  // likewise
#pragma unroll
    for (int half = 0; half < 2; half++) {
        int own = p.start + (first_query + g + 8 * half) / PER_KV;
        float top = run.largest[half];
#pragma unroll
        for (int i = 0; i < 4; i++) {
            float& one = score[i / 2][2 * half + i % 2];
            int key = 8 * (i / 2) + 2 * t + i % 2, position = chunk * CHUNK + key;
#if KV_BITS == 8
            one *= half_to_float(*(const u16*)SHARED_AT(keys + key * KEY_ROW + STORED_ROW));
#endif
            bool is_seen = position <= own && (!is_sliding || position > own - WINDOW);
            one = is_seen ? one : -1e30f;
            top = one > top ? one : top;
        }
#pragma unroll
        for (int far = 1; far < 4; far <<= 1) {
            float other = shuffle_xor(top, far);
            top = other > top ? other : top;
        }
        float shrink = exponential(run.largest[half] - top), sum = 0.f;
        run.largest[half] = top;
#pragma unroll
        for (int i = 0; i < 4; i++) {
            float one = score[i / 2][2 * half + i % 2];
            one = one > -1e30f ? exponential(one - top) : 0.f;
            sum += one;
#if KV_BITS == 8
            one *= half_to_float(*(const u16*)SHARED_AT(values + (8 * (i / 2) + 2 * t + i % 2) * KEY_ROW + STORED_ROW));
#endif
            share[i / 2][2 * half + i % 2] = one;
        }
        run.weight[half] = fma_rn(run.weight[half], shrink, sum);
#pragma unroll
        for (int n = 0; n < HEAD_DIM / 8; n++) run.out[n][2 * half] *= shrink, run.out[n][2 * half + 1] *= shrink;
    }
    // What a lane has of the scores' matrix is what it must bring as the other operand.
    const u32 a[4] = {halves(share[0][0], share[0][1]), halves(share[0][2], share[0][3]), halves(share[1][0], share[1][1]),
                      halves(share[1][2], share[1][3])};
#pragma unroll
    for (int n = 0; n < HEAD_DIM / 8; n += 2) {
        u32 b[4];
        load_values(b, values, 8 * n);
        multiply_halves(run.out[n], a, b[0], b[1]);
        multiply_halves(run.out[n + 1], a, b[2], b[3]);
    }
}

// A warp's queries as parts: weighted values, largest score, sum of weights.
DEVICE void write_parts(float* parts, int first_query, const Running& run) {
    int lane = threadIdx.x & 31, g = lane >> 2, t = lane & 3;
#pragma unroll
    for (int half = 0; half < 2; half++) {
        float weight = run.weight[half];
        weight += shuffle_xor(weight, 1);
        weight += shuffle_xor(weight, 2);
        int q = first_query + g + 8 * half;
        if (q >= QUERIES) continue;
        float* part = parts + q * PART;
#pragma unroll
        for (int n = 0; n < HEAD_DIM / 8; n++)
            part[8 * n + 2 * t] = run.out[n][2 * half], part[8 * n + 2 * t + 1] = run.out[n][2 * half + 1];
        if (t == 0) part[HEAD_DIM] = run.largest[half], part[HEAD_DIM + 1] = weight;
    }
}

DEVICE void write_attended(const Pass& p, int q, int head, int d, float value) {
    u16* row = (u16*)(p.scratch + AT_ATTENDED) + (size_t)(q / PER_KV) * ATTENDED;
    row[(head * PER_KV + q % PER_KV) * HEAD_DIM + d] = float_to_half(within_half(value));
}

// Join `count` key warps of this block from `first` on (and round), for each query, into `mine`, or (null) with the
// sinks to the result. In the order of the warps, wherever the first is; the others have seen nothing.
DEVICE void join_key_warps(const Pass& p, const float* parts, int first, int count, int head, float* mine) {
#pragma unroll 1
    for (int i = threadIdx.x; i < row_end(p) * PER_KV * HEAD_DIM; i += THREADS) {
        int q = i / HEAD_DIM, d = i % HEAD_DIM;
        float sink = S.sinks[head * PER_KV + q % PER_KV], top = mine ? -1e30f : sink, total = 0.f, sum = 0.f;
        float tops[KEY_WARPS];
#pragma unroll
        for (int w = 0; w < KEY_WARPS; w++) {
            bool has_seen = (w - first + KEY_WARPS) % KEY_WARPS < count;
            tops[w] = has_seen ? parts[(w * QUERIES + q) * PART + HEAD_DIM] : -1e30f;
            top = tops[w] > top ? tops[w] : top;
        }
#pragma unroll
        for (int w = 0; w < KEY_WARPS; w++) {
            const float* part = parts + (w * QUERIES + q) * PART;
            float shrink = exponential(tops[w] - top);  // 0 where it has seen nothing: its part is all zeros
            sum = fma_rn(part[d], shrink, sum), total = fma_rn(part[HEAD_DIM + 1], shrink, total);
        }
        if (!mine) {
            write_attended(p, q, head, d, sum / (total + exponential(sink - top)));
            continue;
        }
        mine[q * PART + d] = sum;
        if (d == 0) mine[q * PART + HEAD_DIM] = top, mine[q * PART + HEAD_DIM + 1] = total;
    }
}

// Join the splits of a head, and its sinks: one more score per query that takes weight and brings no value.
DEVICE void join_splits(const Pass& p, const Keys& seen, int head) {
#pragma unroll 1
    for (int i = threadIdx.x; i < row_end(p) * PER_KV * HEAD_DIM; i += THREADS) {
        int q = i / HEAD_DIM, d = i % HEAD_DIM, h = head * PER_KV + q % PER_KV;
        const float* all = p.scratch + AT_PARTS + ((size_t)head * QUERIES + q) * PART;
        constexpr size_t STEP = (size_t)KV_HEADS * QUERIES * PART;
        float sink = S.sinks[h], top = sink, total = 0.f, sum = 0.f;
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
        write_attended(p, q, head, d, sum / (total + exponential(sink - top)));
    }
}

// Pull the keys and values this block will attend to into L2; they do not wait for the queries. Those of the first
// round are staged at once.
DEVICE void prefetch_keys(const Pass& p, u64 layer_index, const Keys& seen) {
    int head = blockIdx.x % KV_HEADS, split = blockIdx.x / KV_HEADS, first = first_chunk(seen, split);
    if (split >= seen.splits) return;
#pragma unroll 1
    for (int chunk = first + seen.splits * (threadIdx.x / CHUNK); chunk < seen.last; chunk += seen.splits * (THREADS / CHUNK)) {
        int position = chunk * CHUNK + threadIdx.x % CHUNK;
        bool is_staged = chunk / seen.splits / STAGED == first / seen.splits / STAGED;
        if (is_staged || position >= p.start || position < seen.oldest) continue;
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

// Begin to stage what does not wait for this pass's own keys and values: the first round of the block's first unit.
DEVICE void stage_old_keys(const Pass& p, const Layer& layer, u64 layer_index) {
    Keys seen = seen_keys(p, layer.is_sliding);
    int head = blockIdx.x % KV_HEADS, split = blockIdx.x / KV_HEADS, first = first_chunk(seen, split);
    if (blockIdx.x < seen.splits * KV_HEADS && first < seen.last)
        stage_keys(p, layer_cache(p, layer_index), seen, head, split, first / seen.splits / STAGED, OLD_KEYS);
}

DEVICE void attend(const Pass& p, const Layer& layer, u64 layer_index) {
    int warp = threadIdx.x >> 5, key_warp = warp % KEY_WARPS, first_query = warp / KEY_WARPS * 16;
    Cache cache = layer_cache(p, layer_index);
    Keys seen = seen_keys(p, layer.is_sliding);
    bool is_sliding = layer.is_sliding;
    int active = at_most(seen.last - seen.first, seen.splits);
    float* parts = (float*)SHARED_AT(STAGE_AT);  // [KEY_WARPS, QUERIES, PART], where keys and values were before

#pragma unroll 1
    for (int unit = blockIdx.x; unit < seen.splits * KV_HEADS; unit += BLOCKS) {
        int head = unit % KV_HEADS, split = unit / KV_HEADS, first = first_chunk(seen, split);
        if (first >= seen.last) continue;
        int first_round = first / seen.splits / STAGED;
        bool is_begun = unit == blockIdx.x;  // the old ones of the first round are there or on their way
        rotate_head(p, cache, seen, head, split, is_begun ? first_round : -1);
        Running run = {};
        run.largest[0] = run.largest[1] = -1e30f;
#pragma unroll 1
        for (int round = first_round; chunk_of(seen, split, round, 0) < seen.last; round++) {
            if (!is_begun || round > first_round) {
                stage_keys(p, cache, seen, head, split, round, ALL_KEYS);
                wait_for_copies();
                block_barrier();
            }
#pragma unroll 1
            for (int i = key_warp; i < STAGED; i += KEY_WARPS) {
                int chunk = chunk_of(seen, split, round, i);
                if (chunk >= first && chunk < seen.last && first_query < QUERIES)
                    attend_chunk(p, is_sliding, chunk, i, first_query, run);
            }
            block_barrier();
        }
        if (first_query < QUERIES) write_parts(parts + key_warp * QUERIES * PART, first_query, run);
        block_barrier();
        int first_warp = first / seen.splits % KEY_WARPS, chunks = (seen.last - first + seen.splits - 1) / seen.splits;
        bool is_alone = active == 1;
        join_key_warps(p, parts, first_warp, chunks, head,
                       is_alone ? 0 : p.scratch + AT_PARTS + (size_t)(split * KV_HEADS + head) * QUERIES * PART);
        if (!is_alone && is_last_block(p.tickets + head, active)) join_splits(p, seen, head);
        block_barrier();
    }
}
