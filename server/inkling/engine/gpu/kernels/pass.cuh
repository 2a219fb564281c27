// One pass of gpt-oss over 1 to ROWS tokens, as a single kernel that stays on the GPU for all layers.
//
// Why one kernel: at batch 1 a layer is 90 MB, 20 us of an H200's bandwidth, and each kernel launch, even in a CUDA
// graph with programmatic launches, costs 3 us of empty memory pipes. Here one block per multiprocessor
// lives through the whole pass, and one warp of it, the feeder, does nothing but have weights copied into shared
// memory, from one matrix to the next, whatever lies between: a grid barrier of about 1 us, attention,
// quantizing. Only experts must be known first (feed.cuh).
//
// What this costs: a pass walks through the code of all phases once a layer, and what does not fit in the instruction
// cache (128 KB on an H200) is fetched each time: the first version, 245 KB with everything inlined, took 2.6 ms.
// Hence one loop over the steps of a layer, one place that calls each routine, and rolled loops.
//
// Deterministic: no sum is made by atomics, and a row's arithmetic does not depend on how many other rows
// are in the pass, so a token gets the same bits alone and in a group. Weights are the packed layout of
// layout.py and stay integers: activations become 16-bit fixed point per group of 32 (signed high byte,
// unsigned low byte, one scale), so that dp4a multiplies four weights at once and exactly.
//
// The steps of a layer; every block computes what it needs of the inputs by itself:
//   A  residual += experts' output; norm; q, k, v            -> qkv
//   B  rotary, append to the KV cache, attention             -> attended, fp16
//   C  attention's output matrix; its part of router logits  -> projected, router parts
//   D  residual += projected; norm; choose experts; gate, up -> gated, fp16
//   E  down, weighted sum of the experts                     -> mixed
// Every block reads all of what the others wrote, and what goes through L2 then is 132 times as much: hence fp16.
//
// Compiled at run time for one model (step.py defines the upper-case constants and puts the files
// together), or as C++ for tests that run the same code on a CPU (tests/unit/gpu/emulator.h).

constexpr int WARPS = THREADS / 32;
constexpr int most(int a, int b) { return a > b ? a : b; }
constexpr int quads_of(int width) { return (width / 32 + 3) / 4; }  // a quad is 4 groups of 32
// Warps that share a tile, in fixed parts of EACH quads at most; all warps where that would not do.
constexpr int TEAM = WARPS % 8 == 0 ? 8 : WARPS % 6 == 0 ? 6 : WARPS;
constexpr int EACH = most((quads_of(most(HIDDEN, INTER)) + TEAM - 1) / TEAM, (quads_of(HEADS * HEAD_DIM) + WARPS - 1) / WARPS);
// Teams that take down's tiles by turns; each then has the same pair's for a while.
constexpr int PAIR_TEAMS = TOP_K % (WARPS / TEAM) == 0 ? WARPS / TEAM : 1;
constexpr int QKV = (HEADS + 2 * KV_HEADS) * HEAD_DIM;
constexpr int ATTENDED = HEADS * HEAD_DIM;
constexpr int PER_KV = HEADS / KV_HEADS;
constexpr int PAIRS = ROWS * TOP_K;  // of a row and one of its experts
constexpr int QUERIES = ROWS * PER_KV;  // of one key/value head
constexpr int PART = HEAD_DIM + 2;  // weighted values, largest score, sum of weights
constexpr int SPLITS = BLOCKS / KV_HEADS > 0 ? BLOCKS / KV_HEADS : 1;  // of the keys, between blocks
// Consumer cards before Blackwell have 99 KB of shared memory for a block, data centers' twice that.
constexpr bool IS_ROOMY = SHARED_LIMIT >= 160000;
constexpr int CHUNK = 16;  // keys a warp attends to at a time
constexpr int QUERY_TILES = (QUERIES + 15) / 16;  // 16 queries are one operand of the tensor cores
constexpr int QUERY_ROW = HEAD_DIM * 2 + 16;      // bytes of a query in shared memory: as halves, and off others' banks
constexpr int STORED_ROW = HEAD_DIM * KV_BITS / 8;  // bytes of a key or value in the cache
constexpr int KEY_ROW = STORED_ROW + 16;            // and in shared memory, with its scale if it has one
// Warps between which keys are shared: as many in a pass of any number of rows, since sums depend on it.
constexpr int KEY_WARPS = WARPS / ((MOST_ROWS * PER_KV + 15) / 16);
constexpr int STAGED = IS_ROOMY ? WARPS / KEY_WARPS * KEY_WARPS : KEY_WARPS;  // chunks in shared memory at a time
constexpr int RECORD = 80;  // bytes of 32 quantized activations; 80 keeps 4 neighbours off each other's banks
// Of how many pairs the activations lie in shared memory at once.
constexpr int MOST_PAIRS = 8 / TOP_K > 0 ? 8 / TOP_K * TOP_K : TOP_K;
constexpr int DOWN_PAIRS = PAIRS < MOST_PAIRS ? PAIRS : MOST_PAIRS;

#if KV_BITS == 8
typedef signed char Stored;  // a code: what it stands for is its row's scale times as much
#else
typedef u16 Stored;  // fp16
#endif

constexpr int PLANES = 3;
struct Mat {  // layout.py's
    const char* planes[PLANES];  // words, high bits, scales
    const short* perm;
};

struct Layer {
    Mat qkv, out, gate_up, down;
    const float* input_norm;
    const float* qkv_bias;
    const float* sinks;
    const float* out_bias;
    const float* post_norm;
    const float* router;
    const float* router_bias;
    const float* gate_up_bias;
    const float* down_bias;
    u64 is_sliding;
};

struct Pass {
    const Layer* layers;
    const u16* embedding;
    const float* norm;
    Mat head;
    const float2* rotary;  // [positions, HEAD_DIM / 2]: cosine, sine
    Stored* keys;          // [layers, pages, PAGE_LEN, KV_HEADS, HEAD_DIM]
    Stored* values;
    u16* key_scales;  // [layers, pages, PAGE_LEN, KV_HEADS], or null
    u16* value_scales;
    u64 layer_stride;         // elements of one layer's keys
    const int* page_table;    // pages of this sequence
    const int* token_source;  // where the first row's token lies, or null: `tokens`
    float* scratch;
    float* logits;  // [ROWS, VOCAB]
    int* chosen;    // [ROWS] likeliest token of each row from `first_logits` on
    u32* barrier;
    u32* tickets;      // [KV_HEADS + 1], zero between passes
    u32 barrier_base;  // what `barrier` has counted to before the pass
    int start;         // KV length before the pass
    int num_rows;
    int first_logits;  // rows from here on get logits
    int tokens[MOST_ROWS];
};

// Where the parts of `scratch` begin, in floats.
constexpr size_t AT_QKV = 0;
constexpr size_t AT_ATTENDED = AT_QKV + ROWS * QKV;
constexpr size_t AT_PROJECTED = AT_ATTENDED + ROWS * ATTENDED / 2;
constexpr size_t AT_GATED = AT_PROJECTED + ROWS * HIDDEN;
constexpr size_t AT_MIXED = AT_GATED + PAIRS * INTER / 2;
constexpr size_t AT_ROUTER = AT_MIXED + ROWS * HIDDEN;
constexpr size_t AT_PARTS = AT_ROUTER + (size_t)BLOCKS * ROWS * EXPERTS;
constexpr size_t AT_BEST = AT_PARTS + (size_t)SPLITS * KV_HEADS * QUERIES * PART;
constexpr size_t SCRATCH = AT_BEST + 2 * BLOCKS * ROWS;

constexpr int HIDDEN_TILES = (HIDDEN / 8 + BLOCKS - 1) / BLOCKS;  // most that one block has of them
constexpr int QKV_TILES = (QKV / 8 + BLOCKS - 1) / BLOCKS;
constexpr int EXPERT_ITEMS = 24;  // tiles of gate_up between two block barriers, at most
constexpr int HEAD_TILES = ROWS < 4 ? 24 / ROWS : 4;  // of the head, likewise
// The table of items: a layer's tiles of gate_up, then of down.
constexpr int MOST_ITEMS = (PAIRS * 2 * INTER / 8 + BLOCKS - 1) / BLOCKS + HIDDEN_TILES * PAIRS;
// Parts of shared memory, in bytes: the residual stream, quantized activations, partial sums.
constexpr int SHARED_RESIDUAL = ROWS * HIDDEN * 4;
constexpr int NORM_OFFSET = most(ROWS * HIDDEN / 32 * RECORD, WARPS * ROWS * EXPERTS * 4);
constexpr int SHARED_X = most(most(most(ROWS * ATTENDED, DOWN_PAIRS * INTER) / 32 * RECORD, NORM_OFFSET + HIDDEN * 4),
                              QUERY_TILES * 16 * QUERY_ROW + most(KEY_WARPS * QUERIES * PART * 4, 2 * STAGED * CHUNK * KEY_ROW));
constexpr int SHARED_SUMS =
    most(most(most(QKV_TILES, HEAD_TILES) * TEAM, most(QKV_TILES, HIDDEN_TILES) * WARPS) * ROWS,
         most(EXPERT_ITEMS, HIDDEN_TILES * DOWN_PAIRS) * TEAM) * 32;

struct Item {  // an expert's tile to multiply, and the activations it meets
    int tile;  // over all experts
    int x;     // offset of the first row's records, in bytes
};

// What a block has of the matrices: tiles of qkv; units of gate_up (tiles of all rows' experts); tiles of down,
// which are also its tiles of `out`.
struct Mix {
    int first_qkv, qkv_tiles;  // the first, and how many
    int unit, units;
    int first_tile, tiles;
    int pairs;  // of a row and one of its experts
};

struct Block {  // what the threads of a block share beside the large parts
    Layer layers[LAYERS];
    Mix mix;  // not in registers, of which the products need all
    Item items[MOST_ITEMS];
    alignas(16) float bias[most(QKV_TILES, HIDDEN_TILES) * 8];  // of phases A and C
    alignas(16) float norm[HIDDEN_TILES * 8];  // of this block's columns of the residual
    alignas(16) float sinks[HEADS];
    union {  // never needed at a time
        alignas(16) float router[EXPERTS][HIDDEN_TILES * 8];
        alignas(16) float item_bias[MOST_ITEMS][8];
    };
    float columns[ROWS][HIDDEN_TILES * 8];  // this block's columns of the new residual, times the norm
    alignas(16) float warp_sums[ROWS][WARPS];
    float inverse_rms[ROWS];
    float weight[PAIRS];
    int expert[PAIRS];
    float best_value[WARPS][ROWS];
    int best_token[WARPS][ROWS];
    int is_last;
    int layers_known;  // of how many layers the experts are, to the feeder
    u32 barriers;  // that this block has been through in this pass
};

// Bytes of a record's words and high bits; its scales are 8. BITS is EXL2's or MXFP4.
constexpr int MXFP4 = -4, SCALE_BYTES = 8;
template <int BITS>
constexpr int WORD_BYTES = BITS == 8 ? 256 : BITS == 3 ? 96 : 128;
template <int BITS>
constexpr int HIGH_BYTES = BITS == 5 || BITS == 6 ? (BITS - 4) * 32 : 0;
template <int BITS>
constexpr int QUAD_BYTES = 4 * (WORD_BYTES<BITS> + HIGH_BYTES<BITS> + SCALE_BYTES);
constexpr int MOST_QUAD = most(most(QUAD_BYTES<ATTENTION_BITS>, QUAD_BYTES<HEAD_BITS>), most(QUAD_BYTES<GATE_UP_BITS>, QUAD_BYTES<DOWN_BITS>));

// Shared memory: where its parts begin, in bytes.
constexpr int X_AT = SHARED_RESIDUAL, SLOTS_AT = X_AT + SHARED_X, BLOCK_AT = SLOTS_AT + SHARED_SUMS;
constexpr int NORM_AT = X_AT + NORM_OFFSET;  // the norm's weights, fp32, behind what is quantized with them
constexpr int STAGE_AT = X_AT + QUERY_TILES * 16 * QUERY_ROW;  // attention's keys and values
constexpr int RING_AT = BLOCK_AT + (int)(sizeof(Block) + 15) / 16 * 16;
// The ring of slots for pieces of weights, and two kinds of events: a slot is full, a slot is free.
constexpr int RING_ROOM = SHARED_LIMIT - RING_AT;
// A piece is a tile, or, where fewer than LEAST_RING would fit, what some members of a team need of it. Each costs
// some 600 cycles beside its bytes: with halves of tiles a pass took 1.66 ms instead of 1.44.
constexpr int LEAST_RING = 4;
constexpr int TILE_QUADS = quads_of(most(HIDDEN, INTER));
constexpr int slot_size(int parts) {
    int quads = parts == 1 ? TILE_QUADS : TEAM / parts * EACH;
    return most(quads, EACH) * MOST_QUAD + 16;  // feed.cuh tells why 16 more
}
constexpr int parts_of(int parts) {
    return TEAM % (parts * 2) || RING_ROOM / (slot_size(parts) + 16) >= LEAST_RING ? parts : parts_of(parts * 2);
}
constexpr int SLOT = slot_size(parts_of(1));
constexpr int MOST_RING = RING_ROOM / (SLOT + 16), RING = MOST_RING < 2 ? 2 : MOST_RING;
constexpr int FULL_AT = RING_AT + RING * SLOT, FREE_AT = FULL_AT + RING * 8;
#define RESIDUAL ((float*)SHARED_AT(0))
#define SLOTS ((float*)SHARED_AT(SLOTS_AT))
#define S (*(Block*)SHARED_AT(BLOCK_AT))
DEVICE int byte_of(const void* shared) { return (int)((const unsigned char*)shared - SHARED_AT(0)); }

// What a launch must bring: floats of `scratch`, bytes of shared memory.
extern "C" __device__ u64 sizes[2] = {SCRATCH, FREE_AT + RING * 8};

DEVICE int row_end(const Pass& p) { return ROWS == 1 ? 1 : p.num_rows; }
DEVICE int share_begin(int block, int units) { return block * units / BLOCKS; }

constexpr int UNITS_OF_PAIR = 2 * INTER / 8;
// The tiles over all experts that they are.
DEVICE int unit_tile(int unit) {
    int pair = unit / UNITS_OF_PAIR;
    return S.expert[pair] * UNITS_OF_PAIR + unit - pair * UNITS_OF_PAIR;
}
DEVICE int down_tile(const Mix& mix, int tile, int pair) { return S.expert[pair] * (HIDDEN / 8) + mix.first_tile + tile; }
// Where a tile of a pair has its place among down's items of a turn of pairs.
DEVICE int down_item(int tiles, int tile, int pair) {
    return (pair / PAIR_TEAMS * tiles + tile) * PAIR_TEAMS + pair % PAIR_TEAMS;
}

DEVICE Mix mix_of(const Pass& p) {
    constexpr int UNITS = TOP_K * UNITS_OF_PAIR;  // of a row
    int rows = row_end(p), unit = share_begin(blockIdx.x, rows * UNITS), first_tile = share_begin(blockIdx.x, HIDDEN / 8);
    int first_qkv = share_begin(blockIdx.x, QKV / 8);
    return Mix{first_qkv, share_begin(blockIdx.x + 1, QKV / 8) - first_qkv, unit, share_begin(blockIdx.x + 1, rows * UNITS) - unit, first_tile,
               share_begin(blockIdx.x + 1, HIDDEN / 8) - first_tile, rows * TOP_K};
}

// A grid barrier in two halves: between them is time for what needs no other block's results.
DEVICE void grid_arrive(const Pass& p) {
    block_barrier();
    if (threadIdx.x == 0) add_release(p.barrier, 1u);
}
DEVICE void grid_wait(const Pass& p) {
    if (threadIdx.x == 0) {
        // Counts up for ever; unsigned differences stay right when it wraps.
        u32 target = p.barrier_base + BLOCKS * ++S.barriers;
        while ((int)(load_acquire(p.barrier) - target) < 0) spin();
    }
    block_barrier();
}

// Is this the last of `count` blocks to come here? Resets the ticket for the next time.
DEVICE bool is_last_block(u32* ticket, u32 count) {
    memory_fence();
    block_barrier();
    if (threadIdx.x == 0) {
        S.is_last = atomic_add(ticket, 1u) == count - 1;
        if (S.is_last) *ticket = 0;
        memory_fence();
    }
    block_barrier();
    return S.is_last;
}
