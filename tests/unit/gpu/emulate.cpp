// step.cu as a shared library: `emulate` runs one pass.
#include "emulator.h"
#include STEP_SOURCE

static const Pass* current;
static const int BLOCK_THREADS = THREADS + 32;  // with the feeder
static void enter() {
    gpt_oss_pass(*current);
    running->is_done = true;
    spin();
}

// 0, or 1 if every fiber waits for another.
extern "C" int emulate(const Pass* pass) {
    current = pass;
    fibers = std::vector<Fiber>(BLOCKS * BLOCK_THREADS);
    blocks = std::vector<Group>(BLOCKS);
    for (Group& block : blocks) {
        block.shared.assign(sizes[1], 0xAA);  // what was never written must not be read
        block.warps.resize(BLOCK_THREADS / 32);
    }
    for (int i = 0; i < BLOCKS * BLOCK_THREADS; i++) {
        Fiber& fiber = fibers[i];
        fiber.stack.resize(1 << 17);
        fiber.block.x = i / BLOCK_THREADS;
        fiber.thread.x = i % BLOCK_THREADS;
        getcontext(&fiber.context);
        fiber.context.uc_stack.ss_sp = fiber.stack.data();
        fiber.context.uc_stack.ss_size = fiber.stack.size();
        makecontext(&fiber.context, enter, 0);
    }
    for (int left = BLOCKS * BLOCK_THREADS, rounds = 0; left; rounds++) {
        if (rounds > 10000000) return 1;
        // Forwards and backwards, so that no thread is always the first.
        for (int i = 0; i < BLOCKS * BLOCK_THREADS; i++) {
            Fiber& fiber = fibers[rounds % 2 ? BLOCKS * BLOCK_THREADS - 1 - i : i];
            if (fiber.is_done) continue;
            running = &fiber;
            swapcontext(&scheduler, &fiber.context);
            left -= fiber.is_done;
        }
    }
    // Copies that nobody has waited for would write to another block's shared memory.
    for (Group& block : blocks)
        for (auto& [at, event] : block.events)
            if (!event.copies.empty()) abort();
    for (Fiber& fiber : fibers)
        if (!fiber.copies.empty()) abort();
    return 0;
}
