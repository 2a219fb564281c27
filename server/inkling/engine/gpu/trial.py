"""Whether the fused kernel can be trusted on this GPU: a trial against Triton's kernels at each start.

Its warps, copies and barriers run at once, and no emulation shows what a GPU makes of them. Where it is
wrong, Triton serves in its place; where it takes the GPU's context along (a CUDA error) or never
returns, this process must end, and a file left behind tells the next one.
"""

import contextlib
import hashlib
import logging
import math
import os
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from platformdirs import user_cache_path
from torch import Tensor

from inkling.errors import InklingError

log = logging.getLogger(__name__)

# Token ids, positions before them, and how many logits: `Model.forward` on some pages of some store.
Forward = Callable[[Sequence[int], int, int], Tensor]

# Tokens before those that are compared: more than a window, several chunks of keys.
_DEPTH = 256
_RUN = 16
_REPEATS = 4
# Of a token's logits, as norms: of three tokens in four, and of all. On an H200 the median is 0.0002 to 0.0006, and 0.002 to
# 0.015 with random MXFP4 experts. Where a router stands between near equals, rounding chooses another expert: 0.18
# was seen for one of 16. Logits that have nothing to do with the right ones are off by 1.4.
_MOST_ERROR = 0.1
_LARGEST_ERROR = 0.7
# For 148 passes of some milliseconds; all that compiles has done so before.
_LONGEST_S = 30.0


class TriedBefore(Exception):
    """The engine before ended in its trial; the message says how to have another."""


class KernelFailed(InklingError):
    """The kernel broke the GPU's context: nothing more can run in this process."""


@dataclass(frozen=True)
class Expected:
    """Tokens behind `start` others, whose KV is in the store, and their logits fp32 `[tokens, vocab]`."""

    token_ids: list[int]
    start: int
    logits: Tensor


def expect(reference: Forward, vocab_size: int, num_positions: int) -> Expected:
    """What a fused kernel must agree with. Overwrites positions from 0; may compile the reference."""
    start = max(0, min(_DEPTH, num_positions - _RUN))
    ids = random.Random(0).choices(range(vocab_size), k=start + _RUN)
    if start:
        reference(ids[:start], 0, 1)
    return Expected(ids[start:], start, reference(ids[start:], start, _RUN))


def find_fault(fused: Forward, expected: Expected, most_rows: int) -> str | None:
    """What is wrong with `fused`, in a few words; None where it agrees.

    `fused` takes 1 to `most_rows` tokens, and the bits of a token's logits must neither depend on the
    others of its pass nor change from one pass to the next.
    """
    run, start = expected.token_ids, expected.start
    alone = [fused([token_id], start + at, 1)[0] for at, token_id in enumerate(run)]
    pairs = zip(alone, expected.logits, strict=True)
    errors = [float((got - want).norm() / want.norm()) for got, want in pairs]
    if any(map(math.isnan, errors)):
        return "its logits are not numbers"
    errors.sort()
    if (most := errors[3 * len(errors) // 4]) >= _MOST_ERROR:
        return f"its logits are off by {most:.1%}"
    if errors[-1] >= _LARGEST_ERROR:
        return f"a token's logits are off by {errors[-1]:.1%}"
    for _ in range(_REPEATS):
        for size in range(1, most_rows + 1):
            for at in range(0, len(run) - size + 1, size):
                rows = fused(run[at : at + size], start + at, size)
                if not all(map(torch.equal, rows, alone[at : at + size])):
                    return f"its logits change from pass to pass with {size} tokens in each"
    return None


@contextlib.contextmanager
def guarded(kernel: str, device: torch.device) -> Iterator[None]:
    """Within, run a kernel (its source) that may break the GPU's context or never return.

    Raises TriedBefore where that ended an engine on such a GPU before, and KernelFailed where the
    context breaks now. A kernel that does not return ends the process.
    """
    key = hashlib.sha256(f"{kernel}\0{torch.cuda.get_device_name(device)}".encode()).hexdigest()
    file = user_cache_path("inkling") / "kernels" / f"{key}.trial"
    if file.exists():
        raise TriedBefore(
            f"an engine ended while it tried it on this GPU; to try again, remove {file}"
        )
    _leave(file)
    watch = threading.Timer(_LONGEST_S, _end)
    watch.daemon = True
    watch.start()
    try:
        try:
            yield
        finally:
            torch.cuda.synchronize(device)  # an error of the kernel shows here at the latest
    except torch.AcceleratorError as error:
        raise KernelFailed(
            f"The fused kernel failed on this GPU ({str(error).splitlines()[0]}): start the engine "
            "again, and it does without."
        ) from error
    except BaseException:
        _remove(file)
        raise
    else:
        _remove(file)
    finally:
        watch.cancel()


def _leave(file: Path) -> None:
    with contextlib.suppress(OSError):  # a full or read-only disk: the next engine tries again
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


def _remove(file: Path) -> None:
    with contextlib.suppress(OSError):
        file.unlink()


def _end() -> None:
    log.error(
        "The fused kernel did not return on this GPU in %d s: start the engine again, and it does "
        "without.",
        _LONGEST_S,
    )
    os._exit(1)
