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

// Copies into shared memory while the thread goes on.
DEVICE u32 shared_address(int byte) { return (u32)__cvta_generic_to_shared(SHARED_AT(byte)); }
DEVICE void copy_16(int shared_byte, const char* from) {
    asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16;" ::"r"(shared_address(shared_byte)), "l"(from) : "memory");
}
DEVICE void wait_for_copies() { asm volatile("cp.async.wait_all;" ::: "memory"); }

// Eight bytes of shared memory that tell threads what others have done, time after time: a time is over with its
// `count`-th arrival, and when all bytes that it expects are there. `turn` is the parity of the times before.
DEVICE void init_event(int event, u32 count) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(event)), "r"(count) : "memory");
}
DEVICE void arrive(int event) {
    asm volatile("{.reg .b64 state; mbarrier.arrive.shared::cta.b64 state, [%0];}" ::"r"(shared_address(event)) : "memory");
}
DEVICE bool is_over(int event, u32 turn) {
    u32 is_there;
    asm volatile(
#if BULK_COPIES
        "{.reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2; selp.u32 %0, 1, 0, p;}"
#else
        "{.reg .pred p; mbarrier.test_wait.parity.shared::cta.b64 p, [%1], %2; selp.u32 %0, 1, 0, p;}"
#endif
        : "=r"(is_there)
        : "r"(shared_address(event)), "r"(turn)
        : "memory");
    return is_there;
}
#if BULK_COPIES  // since compute capability 9.0: one lane copies a whole run, by the copy engine
// Of who made events, before copies use them.
DEVICE void publish_events() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }
DEVICE void arrive_expecting(int event, u32 bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(event)), "r"(bytes) : "memory");
}
// Both ends and the size are multiples of 16. Weights are read once a pass: L2 need not keep them.
DEVICE void copy_run(int shared_byte, const char* from, u32 bytes, int event) {
    u64 policy;
    asm("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(policy));
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint [%0], [%1], %2, [%3], %4;" ::
                     "r"(shared_address(shared_byte)), "l"(from), "r"(bytes), "r"(shared_address(event)), "l"(policy) : "memory");
}
#else
DEVICE void publish_events() {}
// Arrive once all that this thread has copied so far is there.
DEVICE void arrive_with_copies(int event) {
    asm volatile("cp.async.mbarrier.arrive.noinc.shared::cta.b64 [%0];" ::"r"(shared_address(event)) : "memory");
}
#endif

// What another block has written in this pass lies in L2, never in our L1.
DEVICE float load_fresh(const float* at) { return __ldcg(at); }
DEVICE u16 load_fresh(const u16* at) { return __ldcg(at); }
DEVICE int load_fresh(const int* at) { return __ldcg(at); }
DEVICE uint4 load_fresh(const uint4* at) { return __ldcg(at); }
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

// Tensor cores: A [16, 16] by B [16, 8] of fp16, added to C in fp32. Of A lane 4 g + t has two numbers a register, columns
// 2 t and 2 t + 1 of row g and of row g + 8, then columns 2 t + 8 and 2 t + 9 of both; of B rows 2 t and 2 t + 1 of column g, then
// 2 t + 8 and 2 t + 9; of C columns 2 t and 2 t + 1 of row g, then of row g + 8.
DEVICE void multiply_halves(float (&c)[4], const u32 (&a)[4], u32 b_0, u32 b_1) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b_0), "r"(b_1));
}

// Four matrices of 8 rows of 8 halves, of which lane 8 m + r says where row r of matrix m lies: each as a lane has its
// part of an operand, 4 g + t columns 2 t and 2 t + 1 of row g; transposed, rows 2 t and 2 t + 1 of column g.
DEVICE void load_matrices(u32 (&to)[4], int row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(shared_address(row)));
}
DEVICE void load_transposed(u32 (&to)[4], int row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(shared_address(row)));
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
// fp16((step + 1)^2 * largest), of an integer step to 15.
DEVICE float scale_of_step(u32 step, u16 largest) {
    u16 scale;
    // The bits of 1024 + step, then step + 1: faster than a conversion.
    asm("{.reg .f16 root; mov.b16 root, %1; add.rn.f16 root, root, %3; mul.rn.f16 root, root, root; mul.rn.f16 %0, root, %2;}"
        : "=h"(scale)
        : "h"((u16)(step | 0x6400)), "h"(largest), "h"((u16)0xE3FE));
    return half_to_float(scale);
}
DEVICE float bits_to_float(u32 bits) { return __uint_as_float(bits); }
DEVICE u32 float_to_bits(float f) { return __float_as_uint(f); }
DEVICE float fma_rn(float a, float b, float c) { return __fmaf_rn(a, b, c); }
DEVICE float larger_size(float a, float b) { return fmaxf(fabsf(a), fabsf(b)); }
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
DEVICE void warp_barrier() { __syncwarp(); }
DEVICE void block_barrier() { asm volatile("bar.sync 1, %0;" ::"n"(THREADS) : "memory"); }
DEVICE void whole_block_barrier() { __syncthreads(); }  // the feeder too

DEVICE void memory_fence() { __threadfence(); }
DEVICE void block_fence() { __threadfence_block(); }
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
