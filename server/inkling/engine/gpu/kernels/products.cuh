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
    return scale_of_step(codes.step, codes.scale_max);
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
    if (BITS == 3 && J == 3) return moved<6, 0>(P ? w.y : w.x, 3) | moved<6 + P, 2>(w.z, 1);
    u32 word = J == 0 ? w.x : J == 1 ? w.y : J == 2 ? w.z : w.w;
    if (BITS == 3) return moved<3 * P, 0>(word, 7);
    if (BITS == MXFP4) {
        u32 nibbles = P ? word >> 16 : word;  // in the table of the other sign they find 0
        return look_up(tables.positive, 0x18141210u, nibbles) | look_up(tables.negative, 0x00040608u, nibbles ^ 0x8888u);
    }
    if (BITS == 5) {
        if (!P || !J) return moved<0, 0>(P ? codes.high[0] : word, 31);
        if (J == 3) return moved<5, 0>(codes.high[0], 7) | moved<7, 3>(w.y, 1) | moved<7, 4>(w.w, 1);
        return moved<5, 0>(J == 1 ? w.x : w.z, 7) | moved<5, 3>(J == 1 ? w.y : w.w, 3);
    }
    constexpr int ORDER = 2 * J + P;
    u32 low = (P ? word >> 4 : word) & 0x0F0F0F0Fu;
    if (BITS == 6) return low | moved<2 * (ORDER % 4), 4>(codes.high[(BITS == 6) && J >= 2], 3);
    return low;
}

// What has been copied for this lane: column lane % 8 of group lane / 8 of a quad of the piece in a slot, in which
// planes have room for `room` groups; `odd`: of the piece's tile.
template <int BITS>
DEVICE Codes<BITS> read_codes(int slot, int room, int odd, int quad) {
    int lane = threadIdx.x & 31;
    int high_at = slot + room * WORD_BYTES<BITS>, scales_at = high_at + room * HIGH_BYTES<BITS> + odd * SCALE_BYTES;
    Codes<BITS> codes;
    const uint4* words = (const uint4*)SHARED_AT(slot + quad * 4 * WORD_BYTES<BITS>);
    if (BITS == 3) {
        const u32* three = (const u32*)words + 3 * lane;
        codes.words[0] = uint4{three[0], three[1], three[2], 0};
    } else {
        codes.words[0] = words[BITS == 8 ? 2 * lane : lane];
    }
    if (BITS == 8) codes.words[BITS == 8] = words[2 * lane + 1];
    const unsigned char* high = SHARED_AT(high_at + quad * 4 * HIGH_BYTES<BITS>);
    if (BITS == 5) codes.high[0] = ((const u32*)high)[lane];
    if (BITS == 6) {
        uint2 both = ((const uint2*)high)[lane];
        codes.high[0] = both.x;
        codes.high[BITS == 6] = both.y;
    }
    const unsigned char* scales = SHARED_AT(scales_at + (quad * 4 + (lane >> 3)) * SCALE_BYTES);
    if (BITS == MXFP4) {
        codes.step = scales[lane & 7];
    } else {
        uint2 both = *(const uint2*)scales;
        codes.step = both.x >> 4 * (lane & 7) & 15;
        codes.scale_max = (u16)both.y;
    }
    return codes;
}

struct Activations {  // a group's record
    uint4 fours[4];
    uint2 tail;  // scale, sum
};

DEVICE Activations read_activations(int record) {
    Activations x;
#pragma unroll
    for (int j = 0; j < 4; j++) x.fours[j] = *(const uint4*)SHARED_AT(record + 16 * j);
    x.tail = *(const uint2*)SHARED_AT(record + 64);
    return x;
}

// 32 products of a column and a row, added to `sum`. `w`: the codes, four a word.
template <int BITS>
DEVICE float plus_products(float sum, const u32 (&w)[8], float scale, const Activations& x) {
    int low[2] = {}, high[2] = {};  // two chains each: a product waits for the one before
#pragma unroll
    for (int j = 0; j < 4; j++) {
        high[0] = dp4a_us(w[2 * j], x.fours[j].x, high[0]);
        low[0] = dp4a_uu(w[2 * j], x.fours[j].y, low[0]);
        high[1] = dp4a_us(w[2 * j + 1], x.fours[j].z, high[1]);
        low[1] = dp4a_uu(w[2 * j + 1], x.fours[j].w, low[1]);
    }
    int total = low[0] + low[1] + (high[0] + high[1]) * 256 - ZERO_POINT<BITS> * (int)x.tail.y;
    return fma_rn((float)total, scale * bits_to_float(x.tail.x), sum);
}

// What is multiplied between two block barriers: items [begin, begin + count), one of which is a tile of the
// matrix. Item i is team i % teams's.
struct Turn {
    int begin, count;
    int items;  // where the table has the items; -1: item i of the turn is tile `first_tile` + i,
    int first_tile;
    int x;               // and meets the activations from this byte on
    int row_stride, rows;  // of activations: bytes, how many
};

// This warp's part of a turn: sums to SLOTS [item of the turn, member, N rows, 8].
//
// Every member multiplies EACH quads, there or not, without a branch: so the loads of a quad can go before the
// products of another, and no member would be done earlier otherwise.
template <int BITS, int N>
DEVICE void multiply(Ring& ring, Cut cut, const Turn& turn) {
    int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, team = warp / cut.members, member = warp % cut.members;
    int teams = WARPS / cut.members, pieces = pieces_of(cut), first = member * cut.each;
    int my_piece = member / cut.users, in_piece = member % cut.users * cut.each;
    int my_group = 4 * first + (lane >> 3), end = at_most(4 * (first + cut.each), cut.groups);
    Tables tables = tables_for<BITS>();
#pragma unroll 1
    for (int i = 0; i < turn.count; i++) {
        bool is_mine = (turn.begin + i) % teams == team;
        Item item = turn.items < 0 ? Item{turn.first_tile + i, turn.x} : S.items[turn.items + turn.begin + i];
        int x = X_AT + item.x, odd = is_odd_tile(cut, item.tile);
        float sums[N] = {};
#pragma unroll 1
        for (int piece = 0; piece < pieces; piece++) {
            int slot = wait_for_piece(ring);
            if (is_mine && piece == my_piece) {
#pragma unroll (N == 1 ? EACH : 1)
                for (int q = 0; q < EACH; q++) {
                    int group = my_group + 4 * q;
                    Codes<BITS> codes = read_codes<BITS>(slot, cut.piece, odd, at_most(in_piece + q, cut.piece / 4 - 1));
                    float scale = scale_of(codes);
                    scale = group < end ? scale : 0.f;  // what lies behind may be no number
                    u32 w[8] = {four_codes<BITS, 0, 0>(codes, tables), four_codes<BITS, 0, 1>(codes, tables),
                                four_codes<BITS, 1, 0>(codes, tables), four_codes<BITS, 1, 1>(codes, tables),
                                four_codes<BITS, 2, 0>(codes, tables), four_codes<BITS, 2, 1>(codes, tables),
                                four_codes<BITS, 3, 0>(codes, tables), four_codes<BITS, 3, 1>(codes, tables)};
                    int record = x + at_most(group, cut.groups - 1) * RECORD;
#pragma unroll
                    for (int r = 0; r < N; r++)
                        if (N == 1 || r < turn.rows)
                            sums[r] = plus_products<BITS>(sums[r], w, scale, read_activations(record + r * turn.row_stride));
                }
            }
            release_piece(ring);
        }
        if (!is_mine) continue;
        float* slots = SLOTS + (i * cut.members + member) * N * 8;  // a narrow matrix leaves members without a part
#pragma unroll
        for (int r = 0; r < N; r++) {
            float sum = sums[r];
            sum += shuffle_xor(sum, 8);
            sum += shuffle_xor(sum, 16);
            if (lane < 8) slots[r * 8 + lane] = sum;
        }
    }
}

// The members' sums of a column of an item, in their order.
template <int N>
DEVICE float sum_of(Cut cut, int item, int r, int column) {
    float sum = 0.f;
#pragma unroll 8
    for (int m = 0; m < cut.members; m++) sum += SLOTS[((item * cut.members + m) * N + r) * 8 + column];
    return sum;
}
