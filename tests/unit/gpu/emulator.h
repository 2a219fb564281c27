// kernels/device.cuh for a CPU: every thread of every block is a fiber, and a fiber gives way where a GPU
// thread would wait. So the very code of step.cu runs, with its barriers, shuffles and spinning, without
// a GPU; it is slow and the shapes must be tiny.
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <math.h>
#include <string.h>
#include <ucontext.h>
#include <deque>
#include <map>
#include <vector>

typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
struct uint2 { u32 x, y; };
struct float2 { float x, y; };
struct alignas(16) uint4 { u32 x, y, z, w; };
struct alignas(16) float4 { float x, y, z, w; };
struct Index { int x; };

#define __device__
#define __global__
#define __launch_bounds__(...)
#define DEVICE static inline
#define NOINLINE static
#define PARAMETER

struct Barrier { int arrived = 0, turn = 0; };
struct Operands { u32 a[32][4], b[32][2]; };
struct Warp { Barrier barrier; u32 values[32]; Operands operands[2]; };
struct Copy { unsigned char* to; const char* from; int bytes; };
struct Event {
    int count = 0, pending = 0;  // arrivals of a time, and those it still waits for
    int bytes = 0;               // that it expects and that are not there
    u32 turn = 0;
    std::deque<Copy> copies;  // on their way
};
struct Group {
    Barrier barrier, whole_barrier;
    std::vector<unsigned char> shared;
    std::vector<Warp> warps;
    std::map<int, Event> events;
};
struct Fiber {
    ucontext_t context;
    std::vector<char> stack;
    Index thread, block;
    bool is_done = false;
    std::deque<Copy> copies;  // on their way
};

static std::vector<Fiber> fibers;
static std::vector<Group> blocks;
static ucontext_t scheduler;
static Fiber* running;
#define threadIdx (running->thread)
#define blockIdx (running->block)
static unsigned char* shared_at(int byte) {
    std::vector<unsigned char>& shared = blocks[blockIdx.x].shared;
    if (byte < 0 || byte >= (int)shared.size()) abort();  // what a GPU would refuse, as further below
    return shared.data() + byte;
}
#define SHARED_AT(byte) shared_at(byte)

static void spin() { swapcontext(&running->context, &scheduler); }
static void wait_for(Barrier& barrier, int count) {
    int turn = barrier.turn;
    if (++barrier.arrived == count) {
        barrier.arrived = 0;
        barrier.turn++;
        return;
    }
    while (barrier.turn == turn) spin();
}
static void block_barrier() { wait_for(blocks[blockIdx.x].barrier, THREADS); }
static void whole_block_barrier() { wait_for(blocks[blockIdx.x].whole_barrier, THREADS + 32); }
static void warp_barrier() { wait_for(blocks[blockIdx.x].warps[threadIdx.x >> 5].barrier, 32); }

static u32 exchange(u32 value, int from) {
    Warp& warp = blocks[blockIdx.x].warps[threadIdx.x >> 5];
    warp.values[threadIdx.x & 31] = value;
    wait_for(warp.barrier, 32);
    u32 got = warp.values[from];
    wait_for(warp.barrier, 32);
    return got;
}

static float bits_to_float(u32 bits) { float f; memcpy(&f, &bits, 4); return f; }
static u32 float_to_bits(float f) { u32 bits; memcpy(&bits, &f, 4); return bits; }
static int shuffle_xor(int v, int mask) { return (int)exchange((u32)v, (threadIdx.x & 31) ^ mask); }
static float shuffle_xor(float v, int mask) {
    return bits_to_float(exchange(float_to_bits(v), (threadIdx.x & 31) ^ mask));
}
static int shuffle(int v, int lane) { return (int)exchange((u32)v, lane); }
static float shuffle(float v, int lane) { return bits_to_float(exchange(float_to_bits(v), lane)); }
template <class T, class Join>
static T reduce(T value, Join join) {
    Warp& warp = blocks[blockIdx.x].warps[threadIdx.x >> 5];
    memcpy(&warp.values[threadIdx.x & 31], &value, 4);
    wait_for(warp.barrier, 32);
    T all;
    memcpy(&all, &warp.values[0], 4);
    for (int lane = 1; lane < 32; lane++) {
        T other;
        memcpy(&other, &warp.values[lane], 4);
        all = join(all, other);
    }
    wait_for(warp.barrier, 32);
    return all;
}
static u32 warp_max(u32 v) { return reduce(v, [](u32 a, u32 b) { return a > b ? a : b; }); }

// Asynchronous copies arrive as late as they may: when a thread waits for them.
static void deliver(std::deque<Copy>& copies) {
    for (; !copies.empty(); copies.pop_front()) memcpy(copies.front().to, copies.front().from, copies.front().bytes);
}
static void copy_16(int to, const char* from) {
    if ((to | (int)(uintptr_t)from) % 16) abort();
    running->copies.push_back({SHARED_AT(to), from, 16});
}
static void wait_for_copies() { deliver(running->copies); }

static Event& event_at(int at) { return blocks[blockIdx.x].events[at]; }
static void init_event(int at, u32 count) { event_at(at).count = event_at(at).pending = (int)count; }
static void arrive(int at) {
    Event& event = event_at(at);
    if (--event.pending < 0) abort();
    if (event.pending == 0 && event.bytes == 0 && event.copies.empty()) event.turn ^= 1, event.pending = event.count;
}
// Not in the order in which they began.
static bool has_luck() {
    static u32 dice = 1;
    return (dice = dice * 1664525u + 1013904223u) >> 30 == 0;
}
static bool is_over(int at, u32 turn) {
    Event& event = event_at(at);
    if (event.turn == turn && event.pending == 0 && (event.copies.empty() || has_luck())) {
        for (const Copy& copy : event.copies) event.bytes -= copy.bytes;
        deliver(event.copies);
        if (event.bytes == 0) event.turn ^= 1, event.pending = event.count;
    }
    return event.turn != turn;
}
static void publish_events() {}
#if BULK_COPIES
static void arrive_expecting(int at, u32 bytes) {
    if (--event_at(at).pending < 0) abort();
    event_at(at).bytes += bytes;
}
static void copy_run(int to, const char* from, u32 bytes, int at) {
    if ((to | (int)(uintptr_t)from | (int)bytes) % 16) abort();  // what a GPU would refuse
    event_at(at).copies.push_back({SHARED_AT(to), from, (int)bytes});
}
#else
static void arrive_with_copies(int at) {
    Event& event = event_at(at);
    for (; !running->copies.empty(); running->copies.pop_front()) {
        event.bytes += running->copies.front().bytes;
        event.copies.push_back(running->copies.front());
    }
    if (--event.pending < 0) abort();
}
#endif
static float load_fresh(const float* at) { return *at; }
static u16 load_fresh(const u16* at) { return *at; }
static int load_fresh(const int* at) { return *at; }
static uint4 load_fresh(const uint4* at) { return *at; }
static void prefetch_l2(const char*) {}
static int dp4a_us(u32 a, u32 b, int c) {
    for (int i = 0; i < 4; i++) c += (int)(a >> 8 * i & 255) * (int)(int8_t)(b >> 8 * i & 255);
    return c;
}
static int dp4a_uu(u32 a, u32 b, int c) {
    for (int i = 0; i < 4; i++) c += (int)(a >> 8 * i & 255) * (int)(b >> 8 * i & 255);
    return c;
}
static u32 in_register(u32 constant) { return constant; }
static u32 look_up(u32 low, u32 high, u32 which) {
    u64 table = (u64)high << 32 | low;
    u32 found = 0;
    for (int i = 0; i < 4; i++) {
        u32 nibble = which >> 4 * i & 15, byte = (u32)(table >> 8 * (nibble & 7)) & 255;
        found |= (nibble < 8 ? byte : byte < 128 ? 0 : 255) << 8 * i;
    }
    return found;
}
static float half_to_float(u16 h) { _Float16 f; memcpy(&f, &h, 2); return (float)f; }
static u16 float_to_half(float f) { _Float16 half = (_Float16)f; u16 h; memcpy(&h, &half, 2); return h; }
static float scale_of_step(u32 step, u16 largest) {
    return half_to_float(float_to_half((float)((step + 1) * (step + 1)) * half_to_float(largest)));
}
static void multiply_halves(float (&c)[4], const u32 (&a)[4], u32 b_0, u32 b_1) {
    Warp& warp = blocks[blockIdx.x].warps[threadIdx.x >> 5];
    int lane = threadIdx.x & 31, g = lane >> 2, t = lane & 3;
    Operands& all = warp.operands[warp.barrier.turn & 1];  // the next time's are others: who is late still reads these
    for (int i = 0; i < 4; i++) all.a[lane][i] = a[i];
    all.b[lane][0] = b_0, all.b[lane][1] = b_1;
    wait_for(warp.barrier, 32);
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < 16; k++) {
            int of = k % 8 / 2, shift = k % 2 * 16, column = 2 * t + i % 2;
            float left = half_to_float((u16)(all.a[4 * g + of][i / 2 + k / 8 * 2] >> shift));
            c[i] += left * half_to_float((u16)(all.b[4 * column + of][k / 8] >> shift));
        }
}
static void load_rows(u32 (&to)[4], int row, bool is_transposed) {
    Warp& warp = blocks[blockIdx.x].warps[threadIdx.x >> 5];
    int lane = threadIdx.x & 31, g = lane >> 2, t = lane & 3;
    if (row % 16) abort();  // what a GPU would refuse
    Operands& all = warp.operands[warp.barrier.turn & 1];  // as multiply_halves
    all.b[lane][0] = (u32)row;
    wait_for(warp.barrier, 32);
    for (int m = 0; m < 4; m++) {
        const u16* first = (const u16*)SHARED_AT((int)all.b[8 * m + (is_transposed ? 2 * t : g)][0]);
        const u16* second = is_transposed ? (const u16*)SHARED_AT((int)all.b[8 * m + 2 * t + 1][0]) : first;
        to[m] = is_transposed ? first[g] | (u32)second[g] << 16 : first[2 * t] | (u32)first[2 * t + 1] << 16;
    }
}
static void load_matrices(u32 (&to)[4], int row) { load_rows(to, row, false); }
static void load_transposed(u32 (&to)[4], int row) { load_rows(to, row, true); }
static float fma_rn(float a, float b, float c) { return fmaf(a, b, c); }
static float larger_size(float a, float b) { return fmaxf(fabsf(a), fabsf(b)); }
static int round_to_int(float f) { return (int)rintf(f); }
static float exponential(float f) { return expf(f); }
static float reciprocal(float f) { return 1.f / f; }
static float inverse_square_root(float f) { return 1.f / sqrtf(f); }
static void add_release(u32* at, u32 by) { *at += by; }
static u32 load_acquire(const u32* at) { return *at; }
static void memory_fence() {}
static void block_fence() {}
template <class T>
static T atomic_add(T* at, T by) { T old = *at; *at += by; return old; }
