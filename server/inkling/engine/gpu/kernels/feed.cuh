// Weights on their way. The feeder, a warp of each block, has them copied piece by piece into a ring of slots in
// shared memory, in the order in which the block needs them. All other warps go through all pieces, also those that
// are others': an event tells its parity only, so nobody may be a round ahead or behind.

struct Ring {  // where a warp is
    int slot;
    u32 turn;  // parity of how often it has been around
};

DEVICE int at_most(int a, int b) { return a < b ? a : b; }
DEVICE void wait_until_over(int event, u32 turn) {
    while (!is_over(event, turn)) spin();
}
DEVICE void next_slot(Ring& ring) {
    ring.slot++;
    if (ring.slot == RING) ring.slot = 0, ring.turn ^= 1;
}

// Of one thread.
DEVICE void init_ring() {
#pragma unroll 1
    for (int i = 0; i < RING; i++) init_event(FULL_AT + i * 8, BULK_COPIES ? 1 : 32), init_event(FREE_AT + i * 8, WARPS);
    publish_events();
}

// The byte where the next piece lies, once it is there.
DEVICE int wait_for_piece(const Ring& ring) {
    wait_until_over(FULL_AT + ring.slot * 8, ring.turn);
    return RING_AT + ring.slot * SLOT;
}
// This warp has no use for it any more, or never had.
DEVICE void release_piece(Ring& ring) {
    warp_barrier();
    if ((threadIdx.x & 31) == 0) arrive(FREE_AT + ring.slot * 8);
    next_slot(ring);
}

// How a tile of a matrix is shared: member m of a team has the quads from m * each on. It comes in pieces of some
// members' quads, its users'; in a piece the planes follow one another, each with room for `piece` groups.
struct Cut {
    int groups, members, each, piece, users;
};

DEVICE int pieces_of(Cut cut) { return (cut.groups + cut.piece - 1) / cut.piece; }

template <int BITS, int WIDTH>
constexpr Cut cut_of() {
    int members = (quads_of(WIDTH) + TEAM - 1) / TEAM <= EACH ? TEAM : WARPS, each = (quads_of(WIDTH) + members - 1) / members;
    if (quads_of(WIDTH) * QUAD_BYTES<BITS> + 16 <= SLOT) return Cut{WIDTH / 32, members, each, quads_of(WIDTH) * 4, members};
    int here = members;
    while (here * each * QUAD_BYTES<BITS> + 16 > SLOT || members % here) here--;
    return Cut{WIDTH / 32, members, each, here * each * 4, here};
}
constexpr Cut QKV_CUT = cut_of<ATTENTION_BITS, HIDDEN>(), OUT_CUT = cut_of<ATTENTION_BITS, ATTENDED>(),
              GATE_UP_CUT = cut_of<GATE_UP_BITS, HIDDEN>(), DOWN_CUT = cut_of<DOWN_BITS, INTER>(),
              HEAD_CUT = cut_of<HEAD_BITS, HIDDEN>();

// Scales are 8 bytes a record, and copies begin and end at 16: where a tile's first record is an odd one, the record
// before comes too, and what would end within 16 bytes ends behind them.
DEVICE int is_odd_tile(Cut cut, int tile) { return tile * cut.groups & 1; }

// Copy a piece of `here` groups into a slot whose planes have room for `room`.
template <int BITS>
DEVICE void copy_piece(int slot, int room, const char* words, const char* high, const char* scales, int here, int odd, int full) {
    constexpr int WORDS = WORD_BYTES<BITS>, HIGH = HIGH_BYTES<BITS>;
    int to_high = slot + room * WORDS, to_scales = to_high + room * HIGH, of_scales = (here + odd + 1) / 2 * 2 * SCALE_BYTES;
#if BULK_COPIES
    arrive_expecting(full, here * (WORDS + HIGH) + of_scales);
    copy_run(slot, words, here * WORDS, full);
    if (HIGH) copy_run(to_high, high, here * HIGH, full);
    copy_run(to_scales, scales, of_scales, full);
#else
    int lane_byte = (threadIdx.x & 31) * 16;
#pragma unroll 4
    for (int at = lane_byte; at < here * WORDS; at += 32 * 16) copy_16(slot + at, words + at);
#pragma unroll 4
    for (int at = lane_byte; at < here * HIGH; at += 32 * 16) copy_16(to_high + at, high + at);
#pragma unroll 1
    for (int at = lane_byte; at < of_scales; at += 32 * 16) copy_16(to_scales + at, scales + at);
    arrive_with_copies(full);
#endif
}

// Copy a tile, piece by piece. What can be computed is, before the slot is waited for.
template <int BITS>
DEVICE void feed_tile(Ring& ring, const Mat& m, int tile, Cut cut) {
    u64 record = (u32)(tile * cut.groups);
    const char *words = m.planes[0] + record * WORD_BYTES<BITS>, *high = m.planes[1] + record * HIGH_BYTES<BITS>;
    int odd = is_odd_tile(cut, tile);
    const char* scales = m.planes[2] + (record - odd) * SCALE_BYTES;
#pragma unroll 1
    for (int left = cut.groups; left > 0; left -= cut.piece) {
        int slot = RING_AT + ring.slot * SLOT, full = FULL_AT + ring.slot * 8;
        wait_until_over(FREE_AT + ring.slot * 8, ring.turn ^ 1);
        copy_piece<BITS>(slot, cut.piece, words, high, scales, at_most(left, cut.piece), odd, full);
        words += cut.piece * WORD_BYTES<BITS>, high += cut.piece * HIGH_BYTES<BITS>, scales += cut.piece * SCALE_BYTES;
        next_slot(ring);
    }
}

// The experts are those of layer `index`. A count and no event: a block that has no tile in a layer, as of a
// small model, may be a layer ahead of its feeder.
DEVICE void tell_experts(int index) {
    block_fence();
    *(volatile int*)&S.layers_known = index + 1;
}
DEVICE void wait_for_experts(int index) {
    while (*(volatile int*)&S.layers_known <= index) spin();
    block_fence();
}

// All that a block multiplies in a pass, in its order: the feeder's life.
DEVICE void feed(const Pass& p) {
    const Mix mix = S.mix;
    if (BULK_COPIES && threadIdx.x > THREADS) return;  // one lane is enough
    Ring ring = {};
#pragma unroll 1
    for (int index = 0; index < LAYERS; index++) {
        const Layer& layer = p.layers[index];
#pragma unroll 1
        for (int i = 0; i < mix.qkv_tiles; i++) feed_tile<ATTENTION_BITS>(ring, layer.qkv, mix.first_qkv + i, QKV_CUT);
#pragma unroll 1
        for (int i = 0; i < mix.tiles; i++) feed_tile<ATTENTION_BITS>(ring, layer.out, mix.first_tile + i, OUT_CUT);
        wait_for_experts(index);
#pragma unroll 1
        for (int i = 0; i < mix.units; i++) feed_tile<GATE_UP_BITS>(ring, layer.gate_up, unit_tile(mix.unit + i), GATE_UP_CUT);
#pragma unroll 1
        for (int pair = 0; pair < mix.pairs; pair += PAIR_TEAMS)  // as down_item has it
#pragma unroll 1
            for (int i = 0; i < mix.tiles * PAIR_TEAMS; i++)
                feed_tile<DOWN_BITS>(ring, layer.down, down_tile(mix, i / PAIR_TEAMS, pair + i % PAIR_TEAMS), DOWN_CUT);
    }
    int end = p.first_logits < row_end(p) ? share_begin(blockIdx.x + 1, VOCAB / 8) : 0;
#pragma unroll 1
    for (int i = share_begin(blockIdx.x, VOCAB / 8); i < end; i++) feed_tile<HEAD_BITS>(ring, p.head, i, HEAD_CUT);
    if (!BULK_COPIES) wait_for_copies();  // who waits for them counts on this warp
}
