// The few things that step.cu needs of the GPU, by name. tests/unit/gpu/emulator.h has them for a CPU.

typedef unsigned short u16;  // fp16 too, as bits: no header of CUDA's is needed
typedef unsigned int u32;
typedef unsigned long long u64;

#define DEVICE static __device__ __forceinline__
#define NOINLINE static __device__ __noinline__
#define PARAMETER __grid_constant__
// The block's shared memory from a byte on. By name and not through pointers that are handed around: the
// compiler then sees what it is, and does without 64-bit addresses.
extern __shared__ uint4 shared_words[];
#define SHARED_AT(byte) ((unsigned char*)shared_words + (byte))

// Weights are read once a pass: past L1 and the registers, into shared memory, while the thread goes on.
// Copies belong to the group that the thread commits next.
DEVICE void copy_16(int shared_byte, const char* from) {
    asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16;" ::"r"((u32)__cvta_generic_to_shared(SHARED_AT(shared_byte))), "l"(from) : "memory");
}
DEVICE void copy_4(int shared_byte, const char* from) {
    asm volatile("cp.async.ca.shared.global.L2::128B [%0], [%1], 4;" ::"r"((u32)__cvta_generic_to_shared(SHARED_AT(shared_byte))), "l"(from) : "memory");
}
DEVICE void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Until all groups of this thread have arrived but the last N.
template <int N>
DEVICE void wait_for_copies() { asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory"); }

// What another block has written in this pass lies in L2, never in our L1.
DEVICE float load_fresh(const float* at) { return __ldcg(at); }
DEVICE int load_fresh(const int* at) { return __ldcg(at); }
DEVICE float4 load_fresh_4(const float* at) { return __ldcg((const float4*)at); }  // 16 bytes, aligned
DEVICE void prefetch_l2(const char* at) { asm volatile("prefetch.global.L2 [%0];" ::"l"(at)); }

// Four products of bytes, added up: a unsigned, b signed; both unsigned.
DEVICE int dp4a_us(u32 a, u32 b, int c) {
    int d;
    asm("dp4a.u32.s32 %0, %1, %2, %3;" : "=r"(d) : "r"(a), "r"(b), "r"(c));
    return d;
}
DEVICE int dp4a_uu(u32 a, u32 b, int c) {
    u32 d;
    asm("dp4a.u32.u32 %0, %1, %2, %3;" : "=r"(d) : "r"(a), "r"(b), "r"((u32)c));
    return (int)d;
}

// A constant that a register keeps. One the compiler sees it moves there again before each use, where it is
// not part of the instruction; so it is hidden behind a zero: grids have one dimension.
DEVICE u32 in_register(u32 constant) { return constant + blockIdx.y; }

// Four bytes, each looked up among the eight of `low` and `high` by a nibble of the 16 lower bits of
// `which`: by its three lower bits. With the fourth set it is 0 (or 255: the byte's sign).
DEVICE u32 look_up(u32 low, u32 high, u32 which) {
    u32 found;  // not __byte_perm, which ignores the fourth bit
    asm("prmt.b32 %0, %1, %2, %3;" : "=r"(found) : "r"(low), "r"(high), "r"(which));
    return found;
}

DEVICE float half_to_float(u16 h) {
    float f;
    asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(h));
    return f;
}
DEVICE u16 float_to_half(float f) {
    u16 h;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(h) : "f"(f));
    return h;
}
DEVICE u16 int_to_half(u32 i) {
    u16 h;
    asm("cvt.rn.f16.u32 %0, %1;" : "=h"(h) : "r"(i));
    return h;
}
DEVICE u16 half_times(u16 a, u16 b) {
    u16 c;
    asm("mul.rn.f16 %0, %1, %2;" : "=h"(c) : "h"(a), "h"(b));
    return c;
}
DEVICE float bits_to_float(u32 bits) { return __uint_as_float(bits); }
DEVICE u32 float_to_bits(float f) { return __float_as_uint(f); }
DEVICE float fma_rn(float a, float b, float c) { return __fmaf_rn(a, b, c); }
DEVICE int round_to_int(float f) { return __float2int_rn(f); }
DEVICE float exponential(float f) { return __expf(f); }
DEVICE float reciprocal(float f) {
    float r;
    asm("rcp.approx.f32 %0, %1;" : "=f"(r) : "f"(f));
    return r;
}
DEVICE float inverse_square_root(float f) {
    float r;
    asm("rsqrt.approx.f32 %0, %1;" : "=f"(r) : "f"(f));
    return r;
}

DEVICE int shuffle_xor(int v, int mask) { return __shfl_xor_sync(0xffffffffu, v, mask); }
DEVICE float shuffle_xor(float v, int mask) { return __shfl_xor_sync(0xffffffffu, v, mask); }
DEVICE float shuffle(float v, int lane) { return __shfl_sync(0xffffffffu, v, lane); }
DEVICE u32 warp_max(u32 v) { return __reduce_max_sync(0xffffffffu, v); }
DEVICE int warp_sum(int v) { return __reduce_add_sync(0xffffffffu, v); }
DEVICE void warp_barrier() { __syncwarp(); }
DEVICE void block_barrier() { __syncthreads(); }

DEVICE void memory_fence() { __threadfence(); }
DEVICE u32 atomic_add(u32* at, u32 by) { return atomicAdd(at, by); }
DEVICE void add_release(u32* at, u32 by) {
    asm volatile("red.release.gpu.global.add.u32 [%0], %1;" ::"l"(at), "r"(by) : "memory");
}
DEVICE u32 load_acquire(const u32* at) {
    u32 v;
    asm volatile("ld.acquire.gpu.u32 %0, [%1];" : "=r"(v) : "l"(at) : "memory");
    return v;
}
DEVICE void spin() {}
