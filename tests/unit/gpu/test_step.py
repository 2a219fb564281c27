"""The fused decode kernel, its own code run on the CPU: the reference's logits, and bits that do not
depend on how tokens are put into passes."""

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from inkling.engine.gpu.codes import MXFP4
from inkling.engine.gpu.nvrtc import KernelError, compile_kernel
from inkling.engine.gpu.step import THREADS, Shape, Unsupported, constants
from inkling.engine.gpu.weights import GpuWeights
from inkling.engine.model.config import GptOssConfig
from inkling.engine.model.paged_kv import KVBits, PagedKV
from tests.unit.gpu.emulated import EmulatedStep
from tests.unit.gpu.models import BALANCED, TINY, random_weights, reference, with_window
from tests.unit.model.gpt_oss_cases import poisoned

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        shutil.which("g++") is None, reason="the kernel is compiled for the CPU with g++"
    ),
]

PAGE_LEN = 16
PAGES = [7, 2, 5, 0, 3, 1]  # scattered
PROMPT: list[int] = torch.randint(
    0, 104, (70,), generator=torch.Generator().manual_seed(0)
).tolist()
# fp16 keys and values, and activations in 16 bits, against fp32 throughout.
TOLERANCE = 2e-3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where compiled kernels are kept."""
    return tmp_path_factory.mktemp("emulated")


def in_passes(step: EmulatedStep, config: GptOssConfig, sizes: list[int], **options: int) -> Tensor:
    """Logits of the beginning of PROMPT, in passes of `sizes`. What is not written is NaN."""
    kv = poisoned(
        PagedKV(
            config.num_layers,
            8,
            PAGE_LEN,
            config.num_kv_heads,
            config.head_dim,
            dtype=torch.float16,
            device=torch.device("cpu"),
            bits=step.kv_bits,
        )
    )
    table = torch.tensor(PAGES, dtype=torch.int32)
    rows, at = [], 0
    for size in sizes:
        logits, chosen = step.run(PROMPT[at : at + size], at, table, kv, size, **options)
        assert torch.equal(chosen.long(), logits.argmax(-1))
        rows.append(logits.clone())
        at += size
    return torch.cat(rows)


def expected(config: GptOssConfig, weights: GpuWeights, count: int) -> Tensor:
    model = reference(config, weights)
    return model.forward(PROMPT[:count], 0, PAGES, model.new_kv(8, PAGE_LEN), count)


def error(got: Tensor, want: Tensor) -> float:
    return float((got - want).norm() / want.norm())


@pytest.mark.parametrize("is_permuted", [False, True], ids=["in order", "permuted"])
def test_logits_are_the_references(folder: Path, is_permuted: bool) -> None:
    """Behind the window, over page and chunk borders, every row count."""
    weights = random_weights(is_permuted=is_permuted)
    step = EmulatedStep(TINY, weights, PAGE_LEN, folder)
    got = in_passes(step, TINY, [4] * 11 + [3, 2, 1])
    assert error(got, expected(TINY, weights, 50)) < TOLERANCE


@pytest.mark.parametrize(
    "bits",
    [
        {"attention": 4, "experts": 8, "head": 5},
        {"attention": 8, "experts": 6, "head": 4},
        {"attention": 5, "experts": 4, "head": 8},
        {"attention": 3, "experts": MXFP4, "head": 3},
        {"attention": MXFP4, "experts": 3, "down": 4, "head": MXFP4},
    ],
    ids=str,
)
def test_every_width(folder: Path, bits: Mapping[str, int]) -> None:
    weights = random_weights(bits=bits)
    step = EmulatedStep(TINY, weights, PAGE_LEN, folder)
    assert error(in_passes(step, TINY, [1, 4]), expected(TINY, weights, 5)) < TOLERANCE


@pytest.mark.parametrize("kv_bits", [16, 8])
def test_a_tokens_bits_do_not_depend_on_its_pass(folder: Path, kv_bits: KVBits) -> None:
    config = with_window(TINY, 12)
    step = EmulatedStep(config, random_weights(config), PAGE_LEN, folder, kv_bits)
    alone = in_passes(step, config, [1] * 18)
    assert torch.equal(in_passes(step, config, [4, 4, 3, 4, 2, 1]), alone)
    assert torch.equal(in_passes(step, config, [2, 2, 2, 2, 2, 2, 2, 2, 2], rows=4), alone)


def test_an_older_gpu_gets_the_same_bits(folder: Path) -> None:
    """Without the copy engine, and with the shared memory of a consumer's card."""
    weights = random_weights()
    newer = EmulatedStep(TINY, weights, PAGE_LEN, folder)
    older = EmulatedStep(
        TINY, weights, PAGE_LEN, folder, has_bulk_copies=False, shared_limit=101_376
    )
    sizes = [4] * 12 + [1]
    assert torch.equal(in_passes(older, TINY, sizes), in_passes(newer, TINY, sizes))


def test_as_many_threads_as_on_a_gpu(folder: Path) -> None:
    """Two teams of warps, and some that have no keys to attend to."""
    weights = random_weights()
    step = EmulatedStep(TINY, weights, PAGE_LEN, folder, threads=THREADS)
    assert error(in_passes(step, TINY, [4, 2, 1]), expected(TINY, weights, 7)) < TOLERANCE


def test_heads_no_multiple_of_four_and_more_blocks_than_tiles(folder: Path) -> None:
    config = replace(TINY, num_heads=6, num_kv_heads=2)
    weights = random_weights(config)
    blocks = config.hidden_size // 8 + 2
    step = EmulatedStep(config, weights, PAGE_LEN, folder, blocks=blocks)
    assert error(in_passes(step, config, [1, 2, 4]), expected(config, weights, 7)) < TOLERANCE


def test_the_first_token_may_still_be_on_the_device(folder: Path) -> None:
    weights = random_weights()
    step = EmulatedStep(TINY, weights, PAGE_LEN, folder)
    table = torch.tensor(PAGES, dtype=torch.int32)
    kv = PagedKV(2, 8, PAGE_LEN, 2, 64, dtype=torch.float16, device=torch.device("cpu"))
    want = step.run(PROMPT[:1], 0, table, kv, 1)[0].clone()
    token = torch.tensor(PROMPT[:1], dtype=torch.int32)
    assert torch.equal(step.run(token, 0, table, kv, 1)[0], want)


def test_no_logits_asked_writes_the_cache_only(folder: Path) -> None:
    weights = random_weights()
    step = EmulatedStep(TINY, weights, PAGE_LEN, folder)
    table = torch.tensor(PAGES, dtype=torch.int32)
    kv = PagedKV(2, 8, PAGE_LEN, 2, 64, dtype=torch.float16, device=torch.device("cpu"))
    logits, chosen = step.run(PROMPT[:3], 0, table, kv, 0)
    assert len(logits) == len(chosen) == 0
    got = step.run(PROMPT[3:5], 3, table, kv, 1)[0]
    assert error(got, expected(TINY, weights, 5)[4:]) < TOLERANCE


def test_what_does_not_compile_is_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without NVIDIA's bindings, without their library, or refused by the compiler."""
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    with pytest.raises(KernelError, match="pass cannot be compiled here"):
        compile_kernel("no code", {}, "pass", torch.device("cpu"))


def test_models_it_cannot_express_are_named() -> None:
    shape = Shape(1, 132, 512, PAGE_LEN, 16, 232_448, has_bulk_copies=True)
    with pytest.raises(Unsupported, match="not quantized"):
        constants(TINY, random_weights(bits={**BALANCED, "head": 16}), shape)
    mixed = random_weights()
    other = random_weights(bits={**BALANCED, "attention": 4})
    layers = (mixed.layers[0], other.layers[1])
    with pytest.raises(Unsupported, match="attention_bits"):
        constants(TINY, GpuWeights(mixed.embedding, layers, mixed.norm, mixed.head), shape)
    narrow = replace(TINY, head_dim=32)
    assert constants(narrow, mixed, shape)["KV_BITS"] == "16"
    with pytest.raises(Unsupported, match="8 bits for keys and values of 32 dimensions"):
        constants(narrow, mixed, replace(shape, kv_bits=8))
