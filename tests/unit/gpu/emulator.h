// kernels/device.cuh for a CPU: every thread of every block is a fiber, and a fiber gives way where a GPU
// thread would wait. So the very code of step.cu runs, with its barriers, shuffles and spinning, without
// a GPU; it is slow and the shapes must be tiny.
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <string.h>
#include <ucontext.h>
#include <deque>
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
struct Warp { Barrier barrier; u32 values[32]; };
struct Group { Barrier barrier; std::vector<unsigned char> shared; std::vector<Warp> warps; };
struct Copy { unsigned char* to; const char* from; int bytes, group; };
struct Fiber {
    ucontext_t context;
    std::vector<char> stack;
    Index thread, block;
    bool is_done = false;
    std::deque<Copy> copies;  // on their way
    int committed = 0;        // groups of them
};

static std::vector<Fiber> fibers;
static std::vector<Group> blocks;
static ucontext_t scheduler;
static Fiber* running;
#define threadIdx (running->thread)
#define blockIdx (running->block)
#define SHARED_AT(byte) (blocks[blockIdx.x].shared.data() + (byte))

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
static int warp_sum(int v) { return reduce(v, [](int a, int b) { return a + b; }); }

// Asynchronous copies arrive as late as they may: when the thread waits for their group.
static void copy_later(int to, const char* from, int bytes) {
    running->copies.push_back({SHARED_AT(to), from, bytes, running->committed});
}
static void copy_16(int to, const char* from) { copy_later(to, from, 16); }
static void copy_4(int to, const char* from) { copy_later(to, from, 4); }
static void commit_copies() { running->committed++; }
template <int N>
static void wait_for_copies() {
    std::deque<Copy>& copies = running->copies;
    for (; !copies.empty() && copies.front().group + N < running->committed; copies.pop_front())
        memcpy(copies.front().to, copies.front().from, copies.front().bytes);
}
static float load_fresh(const float* at) { return *at; }
static float4 load_fresh_4(const float* at) { float4 four; memcpy(&four, at, 16); return four; }
static int load_fresh(const int* at) { return *at; }
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
static u16 int_to_half(u32 i) { return float_to_half((float)i); }
static u16 half_times(u16 a, u16 b) { return float_to_half(half_to_float(a) * half_to_float(b)); }
static float fma_rn(float a, float b, float c) { return fmaf(a, b, c); }
static int round_to_int(float f) { return (int)rintf(f); }
static float exponential(float f) { return expf(f); }
static float reciprocal(float f) { return 1.f / f; }
static float inverse_square_root(float f) { return 1.f / sqrtf(f); }
static void memory_fence() {}
template <class T>
static T atomic_add(T* at, T by) { T old = *at; *at += by; return old; }
static void add_release(u32* at, u32 by) { *at += by; }
static u32 load_acquire(const u32* at) { return *at; }
