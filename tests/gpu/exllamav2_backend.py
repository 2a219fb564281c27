"""The engine's exllamav2 backend against the reference. Left out where exllamav2 is not installed."""

import importlib.util
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from inkling.engine.exl2 import load_checkpoint
from inkling.engine.exllamav2 import load_exllamav2, load_kernels
from inkling.engine.model.base import KVStore, Model
from inkling.engine.pick import demo_folder
from inkling.tokenizer import Tokenizer
from tests.gpu.report import Found, compare_logits

CUDA = torch.device("cuda")
PAGE_LEN = 16
PAGES = range(10)
PROMPT_LEN = 100
STEPS = 20
# exllamav2 measures the first 200 products of each shape, and waits for each of them.
WARM_UP = 200


def checks() -> Iterator[Found]:
    """The demo model: a prompt at once and in chunks, then greedy decoding, and how long it takes."""
    if importlib.util.find_spec("exllamav2") is None:
        yield Found("exllamav2 as a backend", True, {"left out": "exllamav2 is not installed"})
        return
    folder = demo_folder()
    reference = load_checkpoint(folder, CUDA)
    model = load_exllamav2(folder, CUDA, load_kernels())
    text = Path(__file__).read_text(encoding="utf-8")
    prompt = Tokenizer.load(folder).encode(text)[:PROMPT_LEN]
    want_kv, kv = (one.new_kv(len(PAGES), PAGE_LEN) for one in (reference, model))

    want = reference.forward(prompt, 0, PAGES, want_kv, PROMPT_LEN)
    got = model.forward(prompt, 0, PAGES, kv, PROMPT_LEN)
    yield compare_logits("exllamav2 backend: the prompt at once", got, want)
    chunks = [
        model.forward(prompt[at : at + 30], at, PAGES, kv, len(prompt[at : at + 30]))
        for at in range(0, PROMPT_LEN, 30)
    ]
    yield compare_logits("exllamav2 backend: in chunks of 30", torch.cat(chunks), want)

    chosen = [int(want[-1].argmax())]
    rows = []
    for at in range(PROMPT_LEN, PROMPT_LEN + STEPS):
        rows.append(reference.forward(chosen[-1:], at, PAGES, want_kv, 1))
        chosen.append(int(rows[-1].argmax()))
    got = _decode(model, kv, chosen[:-1])
    yield compare_logits("exllamav2 backend: decoding", got, torch.cat(rows))
    yield _timing(model, kv, prompt, chosen[:-1])


def _decode(model: Model, kv: KVStore, token_ids: list[int]) -> Tensor:
    """Logits `[tokens, vocab]` of tokens behind the prompt, one a pass."""
    rows = [
        model.forward([token], PROMPT_LEN + at, PAGES, kv, 1) for at, token in enumerate(token_ids)
    ]
    return torch.cat(rows)


def _timing(model: Model, kv: KVStore, prompt: list[int], token_ids: list[int]) -> Found:
    for _ in range(WARM_UP // len(token_ids)):
        _decode(model, kv, token_ids)
    torch.cuda.synchronize()
    start = time.perf_counter()
    _decode(model, kv, token_ids)
    torch.cuda.synchronize()
    decode_ms = 1000 * (time.perf_counter() - start) / len(token_ids)
    start = time.perf_counter()
    model.forward(prompt, 0, PAGES, kv, 0)
    prompt_ms = 1000 * (time.perf_counter() - start)
    return Found(
        "exllamav2 backend: time of the demo model",
        True,
        {"ms a token": round(decode_ms, 2), f"ms for {PROMPT_LEN} tokens": round(prompt_ms, 1)},
    )
