// One pass of gpt-oss over 1 to ROWS tokens, as a single kernel that stays on the GPU for all layers.
//
// Why one kernel: at batch 1 a layer is 90 MB, 20 us of an H200's bandwidth, and each kernel launch, even in a CUDA
// graph with programmatic launches, costs 3 us of empty memory pipes. Here one block per multiprocessor
// lives through the whole pass; between two products lies a grid barrier of about 1 us, in whose shadow the
// weights that come next are already copied into each warp's ring in shared memory.
//
// What this costs: the code of all phases must stay small enough for the instruction cache, which a pass
// walks through once a layer: code that runs for the first time in a layer costs some 14 cycles an
// instruction, and the first version, with everything inlined, spent most of its 2.6 ms so. Hence one loop over the
// steps of a layer, one place that calls each routine, and rolled loops.
//
// Deterministic: no sum is made by atomics, and a row's arithmetic does not depend on how many other rows
// are in the pass, so a token gets the same bits alone and in a group. Weights are the packed layout of
// layout.py and stay integers: activations become 16-bit fixed point per group of 32 (signed high byte,
// unsigned low byte, one scale), so that dp4a multiplies four weights at once and exactly.
//
// The steps of a layer; every block computes what it needs of the inputs by itself:
//   A  residual += experts' output; norm; q, k, v            -> qkv
//   B  rotary, append to the KV cache, attention             -> attended
//   C  attention's output matrix; its part of router logits  -> projected, router parts
//   D  residual += projected; norm; choose experts; gate, up -> gated
//   E  down, weighted sum of the experts                     -> mixed
//
// Compiled at run time for one model (step.py defines the upper-case constants and puts the files
// together), or as C++ for tests that run the same code on a CPU (tests/unit/gpu/emulator.h).

constexpr int WARPS = THREADS / 32;
// Warps that share one tile of an expert, in fixed parts.
constexpr int TEAM = WARPS % 8 == 0 ? 8 : WARPS % 6 == 0 ? 6 : WARPS;
constexpr int TEAMS = WARPS / TEAM;
constexpr int QKV = (HEADS + 2 * KV_HEADS) * HEAD_DIM;
constexpr int ATTENDED = HEADS * HEAD_DIM;
constexpr int PER_KV = HEADS / KV_HEADS;
constexpr int PAIRS = ROWS * TOP_K;  // of a row and one of its experts
constexpr int QUERIES = ROWS * PER_KV;  // of one key/value head
constexpr int PART = HEAD_DIM + 2;  // weighted values, largest score, sum of weights
constexpr int SPLITS = BLOCKS / KV_HEADS > 0 ? BLOCKS / KV_HEADS : 1;  // of the keys, between blocks
constexpr int CHUNK = 32;  // keys a warp attends to at a time
constexpr int STORED_ROW = HEAD_DIM * KV_BITS / 8;  // bytes of a key or value in the cache
constexpr int KEY_ROW = STORED_ROW + 16;            // and in shared memory, with its scale if it has one
constexpr int HEAD_TEAMS = 4;
constexpr int KEY_WARPS = WARPS / HEAD_TEAMS;
constexpr int HEADS_PER_WARP = (PER_KV + HEAD_TEAMS - 1) / HEAD_TEAMS;
constexpr int RECORD = 80;  // bytes of 32 quantized activations; 80 keeps 4 neighbours off each other's banks
// Of how many pairs the activations lie in shared memory at once; at 8 rows it has little left.
constexpr int MOST_PAIRS = (ROWS > 4 ? 8 : 16) / TOP_K > 0 ? (ROWS > 4 ? 8 : 16) / TOP_K * TOP_K : TOP_K;
constexpr int DOWN_PAIRS = PAIRS < MOST_PAIRS ? PAIRS : MOST_PAIRS;
constexpr int MOST_ITEMS = 192;  // tiles of a block between two block barriers

#if KV_BITS == 8
typedef signed char Stored;  // a code: what it stands for is its row's scale times as much
#else
typedef u16 Stored;  // fp16
#endif

struct Mat {
    const uint4* words;
    const u32* high;
    const unsigned char* steps;
    const u16* scale_max;
    const short* perm;
};

struct Layer {
    const float* input_norm;
    Mat qkv;
    const float* qkv_bias;
    const float* sinks;
    Mat out;
    const float* out_bias;
    const float* post_norm;
    const float* router;
    const float* router_bias;
    Mat gate_up;
    const float* gate_up_bias;
    Mat down;
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
    int tokens[8];
};

// Where the parts of `scratch` begin, in floats.
constexpr size_t AT_QKV = 0;
constexpr size_t AT_ATTENDED = AT_QKV + ROWS * QKV;
constexpr size_t AT_PROJECTED = AT_ATTENDED + ROWS * ATTENDED;
constexpr size_t AT_GATED = AT_PROJECTED + ROWS * HIDDEN;
constexpr size_t AT_MIXED = AT_GATED + PAIRS * INTER;
constexpr size_t AT_ROUTER = AT_MIXED + ROWS * HIDDEN;
constexpr size_t AT_PARTS = AT_ROUTER + (size_t)BLOCKS * ROWS * EXPERTS;
constexpr size_t AT_BEST = AT_PARTS + (size_t)SPLITS * KV_HEADS * QUERIES * PART;
constexpr size_t SCRATCH = AT_BEST + 2 * BLOCKS * ROWS;

constexpr int most(int a, int b) { return a > b ? a : b; }
constexpr int HIDDEN_TILES = (HIDDEN / 8 + BLOCKS - 1) / BLOCKS;  // most that one block has of them
constexpr int QKV_TILES = (QKV / 8 + BLOCKS - 1) / BLOCKS;
constexpr int EXPERT_ITEMS = 24;  // expert tiles between two block barriers, at most
constexpr int HEAD_TILES = most(ROWS <= 2 ? MOST_ITEMS / WARPS : 16 / ROWS, 1);  // a warp's, at a time
// The table of items: tiles of qkv and of `out`, which never change, then experts'. The head uses it all.
constexpr int OUT_ITEM = QKV_TILES, EXPERT_ITEM = OUT_ITEM + HIDDEN_TILES;
static_assert(EXPERT_ITEM + most(EXPERT_ITEMS, HIDDEN_TILES * DOWN_PAIRS) <= MOST_ITEMS,
              "too few multiprocessors for a model of this width");
// Parts of shared memory, in bytes: the residual stream, quantized activations, partial sums.
constexpr int SHARED_RESIDUAL = ROWS * HIDDEN * 4;
constexpr int SHARED_X = most(most(most(ROWS * most(HIDDEN, ATTENDED), DOWN_PAIRS * INTER) / 32 * RECORD, WARPS * ROWS * EXPERTS * 4),
                              QUERIES * HEAD_DIM * 4 + most(KEY_WARPS * QUERIES * PART * 4, 2 * KEY_WARPS * CHUNK * KEY_ROW));
constexpr int SHARED_SUMS = most(most((most(QKV_TILES, HIDDEN_TILES) + WARPS) * ROWS * 32,
                                      most(EXPERT_ITEMS, HIDDEN_TILES * DOWN_PAIRS) * TEAM * 32),
                                 WARPS * ROWS * HEAD_TILES * 32);

struct Item {  // a tile to multiply, and the activations it meets
    int tile;  // over all experts
    int x;     // offset of the first row's records, in bytes
};

struct Block {  // what the threads of a block share beside the large parts
    Item items[MOST_ITEMS];
    float columns[ROWS][HIDDEN_TILES * 8];  // this block's columns of the new residual, times the norm
    float warp_sums[WARPS][ROWS];
    float inverse_rms[ROWS];
    float weight[PAIRS];
    int expert[PAIRS];
    float best_value[WARPS][ROWS];
    int best_token[WARPS][ROWS];
    int is_last;
    u32 barriers;  // that this block has been through in this pass
};

// Weights on their way: each warp has a ring of quads (4 groups of a tile). A quad is its words, its high
// bits, and its steps and scales. BITS is EXL2's or MXFP4.
constexpr int MXFP4 = -4;
template <int BITS>
constexpr int WORD_BYTES = BITS == 8 ? 1024 : BITS == 3 ? 384 : 512;
template <int BITS>
constexpr int HIGH_BYTES = BITS == 5 || BITS == 6 ? (BITS - 4) * 128 : 0;
template <int BITS>
constexpr int QUAD_BYTES = WORD_BYTES<BITS> + HIGH_BYTES<BITS> + 48;
constexpr int QUAD = most(most(QUAD_BYTES<ATTENTION_BITS>, QUAD_BYTES<HEAD_BITS>), most(QUAD_BYTES<GATE_UP_BITS>, QUAD_BYTES<DOWN_BITS>));

// Shared memory: where its parts begin, in bytes.
constexpr int X_AT = SHARED_RESIDUAL, SLOTS_AT = X_AT + SHARED_X, BLOCK_AT = SLOTS_AT + SHARED_SUMS;
constexpr int STAGE_AT = X_AT + QUERIES * HEAD_DIM * 4;  // attention's keys and values
constexpr int RING_AT = BLOCK_AT + (int)(sizeof(Block) + 15) / 16 * 16;
// As many quads as fit, but no more than are of use.
constexpr int RING_ROOM = (SHARED_LIMIT - RING_AT) / (WARPS * QUAD);
constexpr int RING = RING_ROOM > MOST_RING ? MOST_RING : RING_ROOM < 2 ? 2 : RING_ROOM;
#define RESIDUAL ((float*)SHARED_AT(0))
#define SLOTS ((float*)SHARED_AT(SLOTS_AT))
#define S (*(Block*)SHARED_AT(BLOCK_AT))

// What a launch must bring: floats of `scratch`, bytes of shared memory.
extern "C" __device__ u64 sizes[2] = {SCRATCH, RING_AT + WARPS * RING * QUAD};

DEVICE int row_end(const Pass& p) { return ROWS == 1 ? 1 : p.num_rows; }
DEVICE int share_begin(int block, int units) { return block * units / BLOCKS; }

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
