"""`make gpu-bench`: the engine with gpt-oss-20b's true shapes on this machine's GPU, beside its peers.

    python -m bench.gpu TRACE.json --tokenizer FOLDER [ENGINE[=FOLDER] ...]

Writes a synthetic checkpoint of a recipe, `balanced` if not told (14 GB, random weights), unless FOLDER
of `--model` holds one, measures passes of the model alone, then replays the trace against our engine process and the peers
that are named (bench/peers). Tables; the last line is JSON.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from inkling.engine.gpu.load import load_gpu_weights
from inkling.engine.gpu.model import GpuModel
from inkling.engine.gpu.synthetic import GPT_OSS_20B_FIELDS, RECIPES, write_synthetic
from inkling.engine.model.paged_kv import PagedKV

CUDA = torch.device("cuda")
PAGE_LEN = 16
KV_TOKENS = 16_384
ROOT = Path(__file__).resolve().parents[1]


def median_ms(run: Callable[[], object], repeat: int = 30) -> float:
    """Milliseconds of one call by the GPU's clock, the median."""
    times = []
    for _ in range(repeat + 3):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        begin.record()
        run()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end))
    median: float = statistics.median(times[3:])
    return median


def measure_passes(folder: Path) -> Iterator[tuple[str, float]]:
    """Loading, memory, passes of some tokens behind some others, decoding one step ahead."""
    torch.cuda.reset_peak_memory_stats()
    start = time.monotonic()
    config, weights = load_gpu_weights(folder, CUDA)
    torch.cuda.synchronize()
    yield "load, s", time.monotonic() - start
    yield "peak while loading, GiB", torch.cuda.max_memory_allocated() / 2**30
    model = GpuModel(config, weights)
    start = time.monotonic()
    num_pages = KV_TOKENS // PAGE_LEN + 2
    kv = model.new_kv(num_pages, PAGE_LEN)
    yield "compile and warm up, s", time.monotonic() - start
    kv.keys.normal_()
    kv.values.normal_()
    pages = list(range(num_pages))
    ids = torch.randint(0, config.vocab_size, (512,)).tolist()
    for depth in (1500, 8000):
        for size in (1, 2, 3, 4, 8, 16, 64, 512):
            logits = min(size, 8)

            def one_pass(size: int = size, depth: int = depth, logits: int = logits) -> object:
                return model.forward(ids[:size], depth, pages, kv, logits)

            yield f"{size} tokens at {depth}, ms", median_ms(one_pass)
    for depth in (1500, 8000, 16_000):
        yield f"decode steps in a row at {depth}, tokens/s", decode_rate(model, kv, depth, pages)
    yield "peak of all, GiB", torch.cuda.max_memory_allocated() / 2**30
    free, total = torch.cuda.mem_get_info()
    yield "taken of the GPU, GiB", (total - free) / 2**30
    del kv
    kv = model.new_kv(num_pages, PAGE_LEN, 8)
    for depth in (1500, 8000, 16_000):
        rate = decode_rate(model, kv, depth, pages)
        yield f"the same, KV of 8 bits, at {depth}, tokens/s", rate


def decode_rate(model: GpuModel, kv: PagedKV, depth: int, pages: list[int]) -> float:
    """Tokens a second of 200 decode steps, each begun before the one before is known."""
    step = model.decode(0, depth, pages, kv)
    torch.cuda.synchronize()
    start = time.perf_counter()
    for at in range(200):
        step = model.decode(step, depth + 1 + at, pages, kv)
    step.token_id()
    return 200 / (time.perf_counter() - start)


def main() -> None:
    """Run everything; print as it comes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("trace", type=Path, help="JSON that bench/trace.py wrote")
    parser.add_argument("engines", nargs="*", help="peers, as bench/peers/run.py takes them")
    parser.add_argument("--tokenizer", type=Path, required=True, help="folder of a tokenizer.json")
    parser.add_argument("--model", type=Path, help="where the checkpoint is or shall be")
    parser.add_argument("--recipe", choices=RECIPES, default="balanced", help="of what is written")
    parser.add_argument("--passes-only", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.passes_only:  # a child, so that the engine finds the GPU empty
        figures = {}
        for name, value in measure_passes(given.model):
            print(f"| {name:<44} | {value:>9.2f} |", flush=True)
            figures[name] = round(value, 3)
        print(json.dumps(figures))
        return
    with tempfile.TemporaryDirectory(prefix="ink-") as scratch:
        folder = given.model or Path(scratch) / given.recipe
        if not (folder / "config.json").is_file():
            start = time.monotonic()
            fields, recipe = GPT_OSS_20B_FIELDS, RECIPES[given.recipe]
            write_synthetic(folder, fields, recipe, given.tokenizer, CUDA, seed=0)
            torch.cuda.empty_cache()
            print(f"wrote {folder.name} in {time.monotonic() - start:.0f} s", flush=True)
        print(f"\n{torch.cuda.get_device_name()}, torch {torch.__version__}\n", flush=True)
        python = [sys.executable, "-m"]
        flags = ["--tokenizer", str(given.tokenizer), "--model", str(folder), "--passes-only"]
        subprocess.run([*python, "bench.gpu", str(given.trace), *flags], cwd=ROOT, check=False)
        engines = [f"inkling={folder}", *given.engines]
        command = [*python, "bench.peers.run", str(given.trace), *engines]
        subprocess.run(command, cwd=ROOT, check=False)


if __name__ == "__main__":
    main()
