// step.cu as a shared library: `emulate` runs one pass.
#include "emulator.h"
#include STEP_SOURCE

static const Pass* current;
static void enter() {
    gpt_oss_pass(*current);
    running->is_done = true;
    spin();
}

// 0, or 1 if every fiber waits for another.
extern "C" int emulate(const Pass* pass) {
    current = pass;
    fibers = std::vector<Fiber>(BLOCKS * THREADS);
    blocks = std::vector<Group>(BLOCKS);
    for (Group& block : blocks) {
        block.shared.assign(sizes[1], 0xAA);  // what was never written must not be read
        block.warps.resize(THREADS / 32);
    }
    for (int i = 0; i < BLOCKS * THREADS; i++) {
        Fiber& fiber = fibers[i];
        fiber.stack.resize(1 << 17);
        fiber.block.x = i / THREADS;
        fiber.thread.x = i % THREADS;
        getcontext(&fiber.context);
        fiber.context.uc_stack.ss_sp = fiber.stack.data();
        fiber.context.uc_stack.ss_size = fiber.stack.size();
        makecontext(&fiber.context, enter, 0);
    }
    for (int left = BLOCKS * THREADS, rounds = 0; left; rounds++) {
        if (rounds > 10000000) return 1;
        for (Fiber& fiber : fibers) {
            if (fiber.is_done) continue;
            running = &fiber;
            swapcontext(&scheduler, &fiber.context);
            left -= fiber.is_done;
        }
    }
    return 0;
}
