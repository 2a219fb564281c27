"""Replay a keystroke trace against the engines installed here: a table, the last line is JSON.

    python bench/trace.py --tokenizer FOLDER trace.json
    python -m bench.peers.run trace.json inkling=EXL2_FOLDER llama.cpp=SCRATCH_FOLDER transformers

Each engine runs in a process of its own, one after the other, with nothing else on the GPU. Every key
of the trace asks for 24 tokens, greedily, as an editor would; the next key comes when they are there.
"""

import argparse
import importlib
import json
import logging
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .base import GPT_OSS_20B, TINY, Peer, Shapes, Step, Timing, read_steps
from .table import COLUMNS, figures, row

log = logging.getLogger(__name__)

# Name → module and how its peer is made. Imported only when asked for.
PEERS: dict[str, tuple[str, Callable[[Any], Peer]]] = {
    "inkling": (".inkling", lambda found: found.InklingPeer()),
    "llama.cpp": (".llama_cpp", lambda found: found.LlamaCppPeer()),
    "exllamav3": (".exllamav3", lambda found: found.ExLlamaV3Peer(swa_full=True)),
    "exllamav3-default": (".exllamav3", lambda found: found.ExLlamaV3Peer(swa_full=False)),
    "vllm": (".vllm", lambda found: found.VllmPeer()),
    "transformers": (
        ".transformers_peer",
        lambda found: found.TransformersPeer(reuses_cache=True),
    ),
    "transformers-naive": (
        ".transformers_peer",
        lambda found: found.TransformersPeer(reuses_cache=False),
    ),
}
TOKENS = 24  # of a completion
DECODED = 129  # for tokens a second; the first is prefill
DECODE_RUNS = 3, 15  # at least, at most
DECODE_S = 10.0  # after which no more of them are begun
GRACE_S = 150.0  # to load, and to end


def warm_up(peer: Peer, steps: list[Step]) -> None:
    """Compile, capture and allocate with prompts that share nothing with the trace's."""
    by_kind = {step.kind: step.token_ids[::-1] for step in reversed(steps)}
    prompt = by_kind["cold"]
    prompts = [prompt[:64], *([by_kind["cold long"]] if "cold long" in by_kind else []), prompt]
    for typed in (1, 1, 2, 2, 3, 3, 4, 4):
        prompt = [*prompt, *prompt[:typed]]
        prompts.append(prompt)
    for token_ids in prompts:
        ask(peer, Step("warm-up", f"{len(token_ids)} tokens", token_ids, 0))


def ask(peer: Peer, step: Step, max_tokens: int = TOKENS) -> Timing | None:
    """One request. None if the engine failed at it (memory): the others may still do."""
    try:
        return peer.complete(step.token_ids, max_tokens, step.healing)
    except Exception:
        log.exception("%s (%s) failed", step.kind, step.what)
        return None


def replay(peer: Peer, steps: list[Step], deadline: float) -> dict[str, list[dict[str, Any]]]:
    """The trace in order: timings by kind."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for step in steps:
        if time.monotonic() > deadline:
            log.warning("out of time: the rest of the trace is left out")
            break
        if step.kind == "key" and len(found["key"]) == peer.max_keys:
            continue
        if timing := ask(peer, step):
            found[step.kind].append({"prompt": len(step.token_ids), **vars(timing)})
    return found


def decode_rate(peer: Peer, step: Step) -> float | None:
    """Tokens a second behind a prompt, the median of some runs."""
    rates: list[float] = []
    least, most = DECODE_RUNS
    deadline = time.monotonic() + DECODE_S
    for run in range(most):
        if run >= least and time.monotonic() > deadline:
            break
        timing = ask(peer, step, DECODED)
        if timing is not None and timing.tokens > 1:
            rates.append(1000 * (timing.tokens - 1) / (timing.total_ms - timing.ttft_ms))
    return statistics.median(rates) if rates else None


def nvidia_smi(field: str) -> str:
    """What it says of the first GPU; "" without one. Memory counts every process."""
    query = ["nvidia-smi", f"--query-gpu={field}", "--format=csv,noheader,nounits", "--id=0"]
    try:
        return subprocess.run(query, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def measure(name: str, folder: Path | None, trace: Path, shapes: Shapes, seconds: float) -> Any:
    """Everything about one engine, in this process. The raw timings are in it."""
    file, make = PEERS[name]
    peer = make(importlib.import_module(file, __package__))
    steps = read_steps(trace)
    before = nvidia_smi("memory.used")
    start = time.monotonic()
    peer.start(folder, shapes)
    try:
        loaded_s = time.monotonic() - start
        warm_up(peer, steps)
        found = replay(peer, steps, time.monotonic() + seconds)
        rates = {}
        for kind in ("cold", "cold long"):
            if found[kind]:
                rates[kind] = decode_rate(peer, next(step for step in steps if step.kind == kind))
        after = nvidia_smi("memory.used")
    finally:
        peer.close()
    return {
        "engine": peer.name,
        "loaded_s": round(loaded_s, 1),
        "decode_tok_s": rates,
        "gpu_mib": int(after) - int(before) if before and after else None,
        "timings": found,
    }


def in_own_process(engine: str, given: argparse.Namespace) -> Any:
    """Measure one engine in a child, so that it starts with an empty GPU. None if it failed."""
    with tempfile.NamedTemporaryFile(suffix=".json") as result:
        flags = ["--seconds", str(given.seconds), "--result", result.name]
        command = [sys.executable, "-m", "bench.peers.run", str(given.trace), engine, *flags]
        child = subprocess.Popen([*command, "--tiny"] if given.tiny else command)
        try:
            child.wait(timeout=given.seconds + GRACE_S)
        except subprocess.TimeoutExpired:
            child.terminate()
            try:
                child.wait(timeout=GRACE_S / 5)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        content = Path(result.name).read_text(encoding="utf-8")
    return json.loads(content) if content else None


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("trace", type=Path, help="JSON that bench/trace.py wrote")
    parser.add_argument("engines", nargs="+", help=f"NAME or NAME=FOLDER: {', '.join(PEERS)}")
    parser.add_argument("--seconds", type=float, default=120, help="for one engine's replay")
    parser.add_argument("--tiny", action="store_true", help="small shapes: a dry run on a CPU")
    parser.add_argument("--raw", type=Path, help="write every timing to this file as JSON")
    parser.add_argument("--result", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.result:  # a child
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        name, _, folder = given.engines[0].partition("=")
        shapes = TINY if given.tiny else GPT_OSS_20B
        result = measure(name, Path(folder) if folder else None, given.trace, shapes, given.seconds)
        given.result.write_text(json.dumps(result), encoding="utf-8")
        return
    machine = nvidia_smi("name") or platform.machine()
    print(f"\n{machine}, Python {platform.python_version()}\n")
    print(f"| engine | {' | '.join(COLUMNS)} |\n|{'---|' * (len(COLUMNS) + 1)}")
    raw, found = {}, {}
    for engine in given.engines:
        if (result := in_own_process(engine, given)) is None:
            print(f"| {engine} | failed, see above |{' |' * (len(COLUMNS) - 1)}", flush=True)
            continue
        name = engine.partition("=")[0]
        raw[name], found[name] = result, figures(result)
        print(row(found[name]), flush=True)
        if given.raw:  # after each engine: a later one may take the time that is left
            given.raw.write_text(json.dumps(raw), encoding="utf-8")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
