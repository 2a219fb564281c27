// The pass itself: see pass.cuh.

// The vectors that a block needs of a layer after its product of phase A or C, on their way.
DEVICE void copy_vectors(const Layer& layer, bool is_out) {
    int first_tile = is_out ? S.mix.first_tile : S.mix.first_qkv, tiles = is_out ? S.mix.tiles : S.mix.qkv_tiles;
    const float* bias = (is_out ? layer.out_bias : layer.qkv_bias) + first_tile * 8;
#pragma unroll 1
    for (int i = threadIdx.x; i < tiles * 2; i += THREADS) {
        copy_16(byte_of(S.bias) + i * 16, (const char*)(bias + i * 4));
        if (is_out) copy_16(byte_of(S.norm) + i * 16, (const char*)(layer.post_norm + first_tile * 8 + i * 4));
    }
    if (!is_out) return;
    if (HEADS % 4 == 0) {
        if (threadIdx.x < HEADS / 4) copy_16(byte_of(S.sinks) + threadIdx.x * 16, (const char*)(layer.sinks + threadIdx.x * 4));
    } else if (threadIdx.x < HEADS) {
        S.sinks[threadIdx.x] = layer.sinks[threadIdx.x];
    }
#pragma unroll 1
    for (int i = threadIdx.x; i < EXPERTS * tiles * 2; i += THREADS) {
        int e = i / (tiles * 2), at = i - e * tiles * 2;
        copy_16(byte_of(S.router) + (e * HIDDEN_TILES * 2 + at) * 16, (const char*)(layer.router + (size_t)e * HIDDEN + first_tile * 8 + at * 4));
    }
}

extern "C" __global__ void __launch_bounds__(THREADS + 32, 1) gpt_oss_pass(const PARAMETER Pass p) {
    if (threadIdx.x == 0) S.mix = mix_of(p), S.barriers = 0, S.layers_known = 0, init_ring();
    whole_block_barrier();
    if (threadIdx.x >= THREADS) {
        feed(p);
        return;
    }
#pragma unroll 1
    for (int i = threadIdx.x; i < LAYERS * (int)sizeof(Layer) / 8; i += THREADS) ((u64*)S.layers)[i] = ((const u64*)p.layers)[i];
    embed(p);
    block_barrier();
    Ring ring = {};
    // Steps of a layer: 0 is phase A, 1 phases B and C, 2 phases D and E. One loop, so that what several of
    // them need exists once. Each begins with a grid barrier.
    int index = 0, step = 0;
#pragma unroll 1
    for (; index < LAYERS; index += step == 2, step = step == 2 ? 0 : step + 1) {
        const Layer& layer = S.layers[index];
        bool is_first = index == 0 && step == 0, is_out = step == 1;
        if (!is_first) grid_arrive(p);
        if (step != 2) copy_vectors(layer, is_out);
        if (step != 1) copy_norm(step == 0 ? layer.input_norm : layer.post_norm);
        if (step == 1) {
            prefetch_keys(p, (u64)index, seen_keys(p, layer.is_sliding));
            stage_old_keys(p, layer, (u64)index);
        }
        if (!is_first) grid_wait(p);

        RouterParts parts = {};
        if (step == 2) parts = load_router_parts(p, 0);  // waited for only when they are used
        if (step != 1) update_residual(p, step == 2 ? p.scratch + AT_PROJECTED : index ? p.scratch + AT_MIXED : (const float*)0);
        if (step == 2) {
            choose_experts(p, layer, sum_of(parts));
            mix_experts(p, ring, index);
            continue;
        }
        if (step == 1) {
            attend(p, layer, (u64)index);
            grid_arrive(p);
            grid_wait(p);
        }
        int first_tile = is_out ? S.mix.first_tile : S.mix.first_qkv, tiles = is_out ? S.mix.tiles : S.mix.qkv_tiles;
        Cut cut = QKV_CUT;
        if (is_out) cut = OUT_CUT;
        quantize(cut.groups, row_end(p),
                 Source{is_out ? (const u16*)(p.scratch + AT_ATTENDED) : (const u16*)0, is_out ? layer.out.perm : layer.qkv.perm, -1});
        block_barrier();
        multiply<ATTENTION_BITS, ROWS>(ring, cut, Turn{0, tiles, -1, first_tile, 0, cut.groups * RECORD, row_end(p)});
        wait_for_copies();
        block_barrier();
#pragma unroll 1
        for (int i = threadIdx.x; i < tiles * 8; i += THREADS) {
            int column = first_tile * 8 + i;
#pragma unroll 1
            for (int r = 0; r < row_end(p); r++) {
                float sum = S.bias[i] + sum_of<ROWS>(cut, i / 8, r, i % 8);
                p.scratch[is_out ? AT_PROJECTED + (size_t)r * HIDDEN + column : AT_QKV + (size_t)r * QKV + column] = sum;
                if (is_out) S.columns[r][i] = (RESIDUAL[r * HIDDEN + column] + sum) * S.norm[i];
            }
        }
        if (is_out) {
            block_barrier();
            add_router_part(p, tiles * 8);
        }
    }
    grid_arrive(p);
    if (p.first_logits >= row_end(p)) return;
    copy_norm(p.norm);
    grid_wait(p);
    update_residual(p, p.scratch + AT_MIXED);
    quantize(HIDDEN / 32, row_end(p), Source{0, p.head.perm, -1});
    block_barrier();
    head_and_choose(p, ring);
}
