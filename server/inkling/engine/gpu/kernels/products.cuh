// Weights times activations: one routine for every matrix of a bit width.

template <int BITS>
struct Codes {  // 32 codes of one column, and their scale (MXFP4: an exponent in `step`)
    uint4 words[BITS == 8 ? 2 : 1];  // of 3 bits the last is not used
    u32 high[BITS == 6 ? 2 : 1];
    u32 step;
    u16 scale_max;
};

// Of each byte the bits `mask` from FROM on, moved to TO.
template <int FROM, int TO>
DEVICE u32 moved(u32 plane, u32 mask) {
    constexpr int UP = FROM < TO ? TO - FROM : 0, DOWN = FROM > TO ? FROM - TO : 0;
    return (plane << UP >> DOWN) & (mask << TO) * 0x01010101u;
}

// The scale of 32 codes: EXL2's, or MXFP4's for codes that are twice its values (2^-128 counts as 0).
template <int BITS>
DEVICE float scale_of(const Codes<BITS>& codes) {
    if (BITS == MXFP4) return bits_to_float(codes.step << 23) * 0.5f;
    u32 root = codes.step + 1;
    return half_to_float(half_times(int_to_half(root * root), codes.scale_max));
}

template <int BITS>
constexpr int ZERO_POINT = BITS == MXFP4 ? 12 : 1 << (BITS == MXFP4 ? 0 : BITS - 1);

// What MXFP4's nibbles are looked up in, which gives 12 + 2 E2M1: of a table for each sign the first half.
struct Tables {
    u32 positive, negative;
};

template <int BITS>
DEVICE Tables tables_for() {
    return BITS == MXFP4 ? Tables{in_register(0x0F0E0D0Cu), in_register(0x090A0B0Cu)} : Tables{};
}

// Four codes, a byte each: rows 8 J + 2 b + P of the group.
template <int BITS, int J, int P>
DEVICE u32 four_codes(const Codes<BITS>& codes, const Tables& tables) {
    if (BITS == 8) {
        const uint4& half = codes.words[(BITS == 8) && J >= 2];
        return J % 2 == 0 ? (P ? half.y : half.x) : (P ? half.w : half.z);
    }
    const uint4& w = codes.words[0];
    constexpr int ORDER = 2 * J + P;
    if (BITS == 3 && J == 3) return moved<6, 0>(P ? w.y : w.x, 3) | moved<6 + P, 2>(w.z, 1);
    u32 word = J == 0 ? w.x : J == 1 ? w.y : J == 2 ? w.z : w.w;
    if (BITS == 3) return moved<3 * P, 0>(word, 7);
    if (BITS == MXFP4) {
        u32 nibbles = P ? word >> 16 : word;  // in the table of the other sign they find 0
        return look_up(tables.positive, 0x18141210u, nibbles) | look_up(tables.negative, 0x00040608u, nibbles ^ 0x8888u);
    }
    u32 low = (P ? word >> 4 : word) & 0x0F0F0F0Fu;
    if (BITS == 5) return low | moved<ORDER, 4>(codes.high[0], 1);
    if (BITS == 6) return low | moved<2 * (ORDER % 4), 4>(codes.high[(BITS == 6) && J >= 2], 3);
    return low;
}

// Add this lane's 32 products to `sums[r]` for `rows` rows, whose records lie `row_stride` bytes apart from
// byte `x` of shared memory on.
template <int BITS, int N>
DEVICE void add_products(const Codes<BITS>& codes, const Tables& tables, int quad, int groups, int x, int row_stride,
                         int rows, float (&sums)[N]) {
    int group = 4 * quad + ((threadIdx.x & 31) >> 3);
    float scale = scale_of(codes);
    if (group >= groups) scale = 0.f, group = 0;
    u32 w[8] = {four_codes<BITS, 0, 0>(codes, tables), four_codes<BITS, 0, 1>(codes, tables),
                four_codes<BITS, 1, 0>(codes, tables), four_codes<BITS, 1, 1>(codes, tables),
                four_codes<BITS, 2, 0>(codes, tables), four_codes<BITS, 2, 1>(codes, tables),
                four_codes<BITS, 3, 0>(codes, tables), four_codes<BITS, 3, 1>(codes, tables)};
    int record = x + group * RECORD;
#pragma unroll
    for (int r = 0; r < N; r++) {
        if (N > 1 && r >= rows) continue;
        int low[2] = {}, high[2] = {};  // two chains each: a product waits for the one before
#pragma unroll
        for (int j = 0; j < 4; j++) {
            uint4 four = *(const uint4*)SHARED_AT(record + r * row_stride + 16 * j);
            high[0] = dp4a_us(w[2 * j], four.x, high[0]);
            low[0] = dp4a_uu(w[2 * j], four.y, low[0]);
            high[1] = dp4a_us(w[2 * j + 1], four.z, high[1]);
            low[1] = dp4a_uu(w[2 * j + 1], four.w, low[1]);
        }
        uint2 tail = *(const uint2*)SHARED_AT(record + r * row_stride + 64);
        int total = low[0] + low[1] + (high[0] + high[1]) * 256 - ZERO_POINT<BITS> * (int)tail.y;
        sums[r] = fma_rn((float)total, scale * bits_to_float(tail.x), sums[r]);
    }
}

// The quads one warp takes: of the items first, first + step, ... those from `restart` to `end`; of the
// first item those from `quad`. `count` quads in all; a tile's sums go to slot item * stride + offset.
// Items are numbered from `first_item` of the table on.
struct Walk {
    int first, step;
    int quad, restart, end;
    int count;
    int slot_stride, slot_offset;
    int first_item;
};

// The copying half of a walk. It begins long before the multiplying half, ahead of a grid barrier, and then
// stays RING quads before it.
struct Stream {
    const char *words, *high, *small;  // this lane's pieces of a quad that would begin at record 0
    u32 small_bytes;                   // of a record
    int small_group;                   // of a quad, the first that the piece is of
    u32 odd;                           // 1: the piece begins a record earlier where the quad's record is odd
    int groups;
    u32 record;  // of the next quad: 8 columns by one group each
    int item, quad, left;
    int slot;  // where it goes, in bytes
};

DEVICE int ring_at() { return RING_AT + (threadIdx.x >> 5) * (RING * QUAD); }
DEVICE void next_slot(int& slot) { slot = slot == ring_at() + (RING - 1) * QUAD ? ring_at() : slot + QUAD; }

// This lane's pieces of the BYTES of a quad's words or high bits, of the groups that are `there`.
template <int BYTES>
DEVICE void copy_plane(int to, const char* from, int there) {
    constexpr int PIECES = BYTES / 16, OF_GROUP = PIECES ? PIECES / 4 : 1;
    int lane = threadIdx.x & 31;
#pragma unroll
    for (int first = 0; first < PIECES; first += 32)
        if ((PIECES >= 32 || lane < PIECES) && (first + lane) / OF_GROUP < there)
            copy_16(to + (first + lane) * 16, from + first * 16);
}

// Copy the next quad, if there is one, in pieces of 16 bytes; steps and scales, which may begin anywhere,
// in pieces of 4. Groups behind the last are left out. Always commits, so that groups can be counted.
template <int BITS>
DEVICE void copy_quad(Stream& s, const Walk& walk) {
    if (s.left > 0) {
        int lane = threadIdx.x & 31, there = s.groups - 4 * s.quad;
        copy_plane<WORD_BYTES<BITS>>(s.slot, s.words + (u64)s.record * (WORD_BYTES<BITS> / 4), there);
        copy_plane<HIGH_BYTES<BITS>>(s.slot + WORD_BYTES<BITS>, s.high + (u64)s.record * (HIGH_BYTES<BITS> / 4), there);
        if (s.small_group - (int)(s.record & s.odd) < there)
            copy_4(s.slot + WORD_BYTES<BITS> + HIGH_BYTES<BITS> + lane * 4,
                   s.small + (s.record * s.small_bytes & ~3u));
        s.left--, s.quad++, s.record += 4;
        if (s.quad == walk.end && s.left > 0) {
            s.quad = walk.restart, s.item += walk.step;
            s.record = S.items[walk.first_item + s.item].tile * s.groups + 4 * s.quad;
        }
    }
    commit_copies();
    next_slot(s.slot);
}

// Begin to copy what `multiply` will take. The items must be in the table.
template <int BITS>
DEVICE Stream start(const Mat& m, int groups, const Walk& walk) {
    int lane = threadIdx.x & 31;
    Stream s;
    s.words = (const char*)m.words + lane * 16;
    s.high = (const char*)m.high + lane * 16;
    bool is_step = lane < 8;  // then three lanes with scales
    s.small = is_step ? (const char*)m.steps + lane * 4 : (const char*)m.scale_max + (lane - 8) * 4;
    s.small_bytes = is_step ? 8 : 2;
    s.small_group = is_step ? lane >> 1 : lane < 11 && BITS != MXFP4 ? 2 * (lane - 8) : 1 << 24;
    s.odd = !is_step;
    s.groups = groups;
    s.item = walk.first, s.quad = walk.quad, s.left = walk.count;
    if (s.left > 0) s.record = S.items[walk.first_item + s.item].tile * groups + 4 * s.quad;
    s.slot = ring_at();
    warp_barrier();  // no lane reads the ring any more
#pragma unroll 1
    for (int i = 0; i < RING; i++) copy_quad<BITS>(s, walk);
    return s;
}

// What has been copied for this lane: column lane % 8 of group lane / 8 of the quad in a slot.
template <int BITS>
DEVICE Codes<BITS> read_codes(int slot, u32 record) {
    int lane = threadIdx.x & 31, small = slot + WORD_BYTES<BITS> + HIGH_BYTES<BITS>;
    Codes<BITS> codes;
    const uint4* words = (const uint4*)SHARED_AT(slot);
    if (BITS == 3) {
        const u32* three = (const u32*)words + 3 * lane;
        codes.words[0] = uint4{three[0], three[1], three[2], 0};
    } else {
        codes.words[0] = words[BITS == 8 ? 2 * lane : lane];
    }
    if (BITS == 8) codes.words[BITS == 8] = words[2 * lane + 1];
    if (BITS == 5) codes.high[0] = ((const u32*)SHARED_AT(slot + WORD_BYTES<BITS>))[lane];
    if (BITS == 6) {
        uint2 both = ((const uint2*)SHARED_AT(slot + WORD_BYTES<BITS>))[lane];
        codes.high[0] = both.x;
        codes.high[BITS == 6] = both.y;
    }
    codes.step = *SHARED_AT(small + lane);
    if (BITS != MXFP4) codes.scale_max = *(const u16*)SHARED_AT(small + 32 + (record & 1) * 2 + (lane >> 3) * 2);
    return codes;
}

template <int BITS, int N>
DEVICE void multiply(Stream& s, const Walk& walk, int row_stride, int rows, int first_slot) {
    int lane = threadIdx.x & 31, groups = s.groups;
    int item = walk.first, quad = walk.quad, slot = ring_at();
    float sums[N] = {};
    Tables tables = tables_for<BITS>();
    Item now = S.items[walk.first_item + item];
#pragma unroll 1
    for (int left = walk.count; left > 0; left--) {
        wait_for_copies<RING - 1>();
        warp_barrier();  // what the other lanes have copied is there too
        Codes<BITS> codes = read_codes<BITS>(slot, now.tile * groups);
        next_slot(slot);
        warp_barrier();  // all lanes have read it: the slot is free
        copy_quad<BITS>(s, walk);
        add_products<BITS, N>(codes, tables, quad, groups, X_AT + now.x, row_stride, rows, sums);
        quad++;
        if (quad == walk.end || left == 1) {
            int to = first_slot + (item * walk.slot_stride + walk.slot_offset) * N * 8;
#pragma unroll
            for (int r = 0; r < N; r++) {
                float sum = sums[r];
                sum += shuffle_xor(sum, 8);
                sum += shuffle_xor(sum, 16);
                if (lane < 8) SLOTS[to + r * 8 + lane] = sum;
                sums[r] = 0.f;
            }
            if (left > 1) quad = walk.restart, item += walk.step, now = S.items[walk.first_item + item];
        }
    }
}

// A matrix that all rows meet: this block's tiles, their quads in equal runs to the warps. A warp's sums of
// a tile have slot tile + warp, which grows with every sum in the block.
DEVICE Walk dense_walk(int groups, int tiles, int first_item) {
    int quads = (groups + 3) / 4, warp = threadIdx.x >> 5;
    int total = tiles * quads, begin = warp * total / WARPS, end = (warp + 1) * total / WARPS;
    int tile = begin / quads;
    return Walk{tile, 1, begin - tile * quads, 0, quads, end - begin, 1, warp, first_item};
}

DEVICE float dense_sum(int groups, int tiles, int column, int r) {
    int quads = (groups + 3) / 4, total = tiles * quads, tile = column >> 3;
    float sum = 0.f;
#pragma unroll 1
    for (int w = tile * WARPS / tiles; w < WARPS; w++) {  // the first that can have a part of the tile
        int from = w * total / WARPS, to = (w + 1) * total / WARPS;
        if (from >= (tile + 1) * quads) break;
        if (to > tile * quads && from < to) sum += SLOTS[((tile + w) * ROWS + r) * 8 + (column & 7)];
    }
    return sum;
}

// Experts' tiles, `count` items that are in the table: a team of warps to each, in parts that never change.
DEVICE Walk expert_walk(int groups, int count) {
    int quads = (groups + 3) / 4, each = (quads + TEAM - 1) / TEAM;
    int warp = threadIdx.x >> 5, team = warp / TEAM, member = warp % TEAM;
    int begin = member * each, end = begin + each < quads ? begin + each : quads;
    int mine = (count - team + TEAMS - 1) / TEAMS;
    return Walk{team, TEAMS, begin, begin, end, begin < end ? mine * (end - begin) : 0, TEAM, member, EXPERT_ITEM};
}

template <int BITS>
DEVICE void multiply_experts(Stream& s, const Walk& walk, int count) {
    multiply<BITS, 1>(s, walk, 0, 1, 0);
    if (walk.restart >= walk.end)  // a narrow matrix leaves members without a part
#pragma unroll 1
        for (int item = walk.first; item < count; item += TEAMS)
            if ((threadIdx.x & 31) < 8) SLOTS[(item * TEAM + walk.slot_offset) * 8 + (threadIdx.x & 31)] = 0.f;
}
