// The pass itself: see pass.cuh.

// The tiles of qkv and of `out` that are this block's, in the table of items for good.
DEVICE void plan_dense(int first_qkv, int my_qkv, int first_hidden, int my_hidden) {
    int i = threadIdx.x;
    if (i < my_qkv) S.items[i] = Item{first_qkv + i, 0};
    if (i < my_hidden) S.items[OUT_ITEM + i] = Item{first_hidden + i, 0};
}

extern "C" __global__ void __launch_bounds__(THREADS, 1) gpt_oss_pass(const PARAMETER Pass p) {
    int first_hidden = share_begin(blockIdx.x, HIDDEN / 8), my_hidden = share_begin(blockIdx.x + 1, HIDDEN / 8) - first_hidden;
    int first_qkv = share_begin(blockIdx.x, QKV / 8), my_qkv = share_begin(blockIdx.x + 1, QKV / 8) - first_qkv;

    if (threadIdx.x == 0) S.barriers = 0;
    plan_dense(first_qkv, my_qkv, first_hidden, my_hidden);
    embed(p);
    block_barrier();
    // Steps of a layer: 0 is phase A, 1 phases B and C, 2 phases D and E. One loop, so that what several of
    // them need exists once. Each begins with a grid barrier, in whose shadow the weights of the step that
    // are known already begin to come.
    int index = 0, step = 0;
#pragma unroll 1
    for (; index < LAYERS; index += step == 2, step = step == 2 ? 0 : step + 1) {
        const Layer& layer = p.layers[index];
        bool is_first = index == 0 && step == 0;
        if (!is_first) grid_arrive(p);
        const Mat& m = step == 0 ? layer.qkv : layer.out;
        int groups = step == 0 ? HIDDEN / 32 : ATTENDED / 32;
        int first_tile = step == 0 ? first_qkv : first_hidden, tiles = step == 0 ? my_qkv : my_hidden;
        Walk walk = dense_walk(groups, tiles, step == 0 ? 0 : OUT_ITEM);
        if (step == 2) walk.count = 0;
        Stream stream = start<ATTENTION_BITS>(m, groups, walk);
        if (step == 1) prefetch_keys(p, (u64)index, seen_keys(p, layer.is_sliding));
        if (!is_first) grid_wait(p);

        if (step != 1) update_residual(p, step == 2 ? p.scratch + AT_PROJECTED : index ? p.scratch + AT_MIXED : (const float*)0);
        if (step == 2) {
            choose_experts(p, layer);
            mix_experts(p, layer, index + 1 == LAYERS);
            continue;
        }
        if (step == 1) {
            attend(p, layer, (u64)index);
            grid_arrive(p);
#pragma unroll 1
            for (int e = threadIdx.x; e < EXPERTS; e += THREADS)
                prefetch_l2((const char*)(layer.router + (size_t)e * HIDDEN + first_hidden * 8));
            grid_wait(p);
        }
        quantize(X_AT, groups, row_end(p), step == 0 ? (const float*)0 : p.scratch + AT_ATTENDED, ATTENDED, layer.input_norm,
                 m.perm, -1);
        block_barrier();
        multiply<ATTENTION_BITS, ROWS>(stream, walk, groups * RECORD, row_end(p), 0);
        block_barrier();
#pragma unroll 1
        for (int mine = threadIdx.x; mine < tiles * 8; mine += THREADS) {
            int column = first_tile * 8 + mine;
            float bias = (step == 0 ? layer.qkv_bias : layer.out_bias)[column], norm = step == 0 ? 0.f : layer.post_norm[column];
#pragma unroll 1
            for (int r = 0; r < row_end(p); r++) {
                float sum = bias + dense_sum(groups, tiles, mine, r);
                p.scratch[step == 0 ? AT_QKV + (size_t)r * QKV + column : AT_PROJECTED + (size_t)r * HIDDEN + column] = sum;
                if (step == 1) S.columns[r][mine] = (RESIDUAL[r * HIDDEN + column] + sum) * norm;
            }
        }
        if (step == 1) {
            block_barrier();
            add_router_part(p, layer, first_hidden * 8, my_hidden * 8);
        }
    }
    grid_arrive(p);
    if (p.first_logits >= row_end(p)) return;
    Walk walk = head_walk(p, head_tile());
    Stream stream = start<HEAD_BITS>(p.head, HIDDEN / 32, walk);
    grid_wait(p);
    update_residual(p, p.scratch + AT_MIXED);
    quantize(X_AT, HIDDEN / 32, row_end(p), 0, 0, p.norm, p.head.perm, -1);
    block_barrier();
    head_and_choose(p, walk, stream);
}
