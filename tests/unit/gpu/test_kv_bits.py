"""Keys and values in 8 bits: every path stores the same codes and reads what the others stored."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from inkling.engine.gpu.step_arguments import MOST_ROWS
from inkling.engine.gpu.weights import GpuWeights
from inkling.engine.model.paged_kv import LayerKV, PagedKV, quantize_rows
from inkling.engine.model.reference import GptOss
from tests.unit.gpu.emulated import EmulatedStep
from tests.unit.gpu.models import random_weights, reference
from tests.unit.gpu.test_triton_pass import SMALL
from tests.unit.model.gpt_oss_cases import poisoned, tokens

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.timeout(300),
    pytest.mark.usefixtures("wide_tiles"),
    pytest.mark.skipif(
        shutil.which("g++") is None, reason="the kernel is compiled for the CPU with g++"
    ),
    pytest.mark.skipif(torch.cuda.is_available(), reason="Triton is run by its interpreter"),
]

PAGE_LEN = 16
PAGES = [7, 2, 5, 0, 3, 1]  # scattered
PROMPT = tokens(60)
ROW = SMALL.head_dim


def make_store() -> PagedKV:
    """One that the reference reads too: what lies there is the same for fp16 and fp32."""
    config = SMALL
    return poisoned(
        PagedKV(
            config.num_layers,
            8,
            PAGE_LEN,
            config.num_kv_heads,
            config.head_dim,
            dtype=torch.float32,
            device=torch.device("cpu"),
            bits=8,
        )
    )


def copy_of(kv: PagedKV) -> PagedKV:
    twin = make_store()
    for mine, theirs in zip(parts(twin), parts(kv), strict=True):
        mine.copy_(theirs)
    return twin


def parts(kv: PagedKV | LayerKV) -> list[Tensor]:
    assert kv.key_scales is not None and kv.value_scales is not None
    return [kv.keys, kv.values, kv.key_scales, kv.value_scales]


class Paths:
    """The CUDA kernel, Triton's and the reference over the same weights."""

    def __init__(self, weights: GpuWeights, folder: Path) -> None:
        from inkling.engine.gpu.triton_pass import TritonPass

        self.weights = weights
        self.reference: GptOss = reference(SMALL, weights)
        self._step = EmulatedStep(SMALL, weights, PAGE_LEN, folder, 8)
        self._triton = TritonPass(SMALL, weights)
        self._table = torch.tensor(PAGES, dtype=torch.int32)

    def cuda(self, ids: list[int], start: int, kv: PagedKV, num_logits: int) -> Tensor:
        logits = []
        for at in range(0, len(ids), MOST_ROWS):
            some = ids[at : at + MOST_ROWS]
            logits.append(self._step.run(some, start + at, self._table, kv, len(some))[0].clone())
        return torch.cat(logits)[len(ids) - num_logits :]

    def triton(self, ids: list[int], start: int, kv: PagedKV, num_logits: int) -> Tensor:
        token_ids, at = (torch.tensor(value, dtype=torch.int32) for value in (ids, [start]))
        return self._triton.forward(token_ids, at, self._table, kv, num_logits)

    def plain(self, ids: list[int], start: int, kv: PagedKV, num_logits: int) -> Tensor:
        return self.reference.forward(ids, start, PAGES, kv, num_logits)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where compiled kernels are kept."""
    return tmp_path_factory.mktemp("emulated")


@pytest.fixture(scope="module")
def paths(folder: Path) -> Iterator[Paths]:
    yield Paths(random_weights(SMALL), folder)


def error(got: Tensor, want: Tensor) -> float:
    return float((got - want).norm() / want.norm())


def awkward_rows(generator: torch.Generator) -> Tensor:
    """fp32 `[rows, ROW]`: of all sizes, with ties, without scale, beyond fp16."""
    rows = torch.randn(12, ROW, generator=generator)
    sizes = [1, 1e-3, 1e-5, 3e-6, 1e-9, 0, 1e3, 1e5, 1e30, 65504, 2.0**-20, 1]
    rows *= torch.tensor(sizes)[:, None]
    halves = torch.arange(ROW) + 0.5 - ROW // 2
    halves[3] = -127
    rows[0] = halves * 2.0**-6
    # Just below the middle of two codes: times the reciprocal of the step they would be in the middle.
    rows[11] = torch.nextafter(halves * 7.875, torch.zeros(ROW))
    return rows


def test_triton_stores_the_codes_of_the_oracle() -> None:
    """To the last bit, for the same fp32 numbers: those that a rotation by nothing leaves alone."""
    from inkling.engine.gpu.kernels.rotary import Sequence, rotate_and_append

    num_heads, num_kv_heads, count = 6, 3, 4
    generator = torch.Generator().manual_seed(0)
    qkv = torch.randn(count, num_heads + 2 * num_kv_heads, ROW, generator=generator)
    keys, values = awkward_rows(generator), awkward_rows(generator).flip(0)
    shape = (count, num_kv_heads, ROW)
    qkv[:, num_heads:-num_kv_heads] = keys.view(shape)
    qkv[:, -num_kv_heads:] = values.view(shape)
    kv = poisoned(
        PagedKV(1, 3, 2, num_kv_heads, ROW, dtype=torch.float16, device=qkv.device, bits=8)
    )
    table = torch.tensor([2, 0], dtype=torch.int32)
    sequence = Sequence(
        start=torch.tensor([0], dtype=torch.int32),
        num_rows=torch.tensor([count - 1], dtype=torch.int32),
        page_table=table,
        cos=torch.ones(count, ROW // 2),
        sin=torch.zeros(count, ROW // 2),
    )
    rotate_and_append(qkv.flatten(1), sequence, kv.layer(0), num_heads)

    slots = kv.slots(table.tolist(), 0, count)
    got_keys, got_values, *got_scales = (part.flatten(0, 1) for part in parts(kv.layer(0)))
    for got, scales, rows in zip((got_keys, got_values), got_scales, (keys, values), strict=True):
        codes, want = quantize_rows(rows.view(shape))
        real = slots[: count - 1]
        assert torch.equal(got[real], codes[:-1])
        assert torch.equal(scales[real], want[:-1])
        assert scales[slots[-1]].isnan().all()  # padding is not stored


@pytest.fixture(scope="module")
def unmoved(folder: Path) -> Paths:
    """Behind norms that leave nothing of x, queries, keys and values are the biases: the same fp32 in
    each path."""
    weights = random_weights(SMALL)
    generator = torch.Generator().manual_seed(1)
    layers = []
    for layer in weights.layers:
        bias = layer.qkv_bias.clone()
        rows = awkward_rows(generator)[torch.randperm(12, generator=generator)]
        bias[-2 * SMALL.num_kv_heads * ROW :] = rows[: 2 * SMALL.num_kv_heads].flatten()
        layers.append(replace(layer, input_norm=torch.zeros(SMALL.hidden_size), qkv_bias=bias))
    return Paths(replace(weights, layers=tuple(layers)), folder)


def test_every_path_stores_the_same_codes(unmoved: Paths) -> None:
    stores = [make_store() for _ in range(3)]
    for run, kv in zip((unmoved.cuda, unmoved.triton, unmoved.plain), stores, strict=True):
        run(PROMPT[:5], 0, kv, 0)
    slots = stores[0].slots(PAGES, 0, 5)
    for kv in stores:
        for index, layer in enumerate(unmoved.weights.layers):
            _, values, _, scales = (part.flatten(0, 1)[slots] for part in parts(kv.layer(index)))
            rows = layer.qkv_bias[-SMALL.num_kv_heads * ROW :].view(SMALL.num_kv_heads, ROW)
            codes, want = quantize_rows(rows)
            assert torch.equal(values, codes.expand_as(values))
            assert torch.equal(scales, want.expand_as(scales))
    first = slots[0]  # where no path rotates
    for kv in stores[:2]:
        for mine, oracle in zip(parts(kv), parts(stores[2]), strict=True):
            assert torch.equal(mine.flatten(1, 2)[:, first], oracle.flatten(1, 2)[:, first])


def test_every_path_reads_the_same(unmoved: Paths) -> None:
    """Codes and scales of any kind, behind the window, over borders of pages and of chunks of keys."""
    generator = torch.Generator().manual_seed(2)
    kv = make_store()
    written = kv.slots(PAGES, 0, 75)
    for part in parts(kv):
        shape = (len(part), len(written), *part.shape[3:])
        if part.dtype == torch.int8:
            made = torch.randint(-127, 128, shape, dtype=torch.int8, generator=generator)
        else:
            made = (torch.rand(shape, generator=generator) * 0.02).half()
        part.flatten(1, 2)[:, written] = made
    for start, size in ((75, 5), (31, 3), (40, 1)):
        ids = PROMPT[:size]
        want = unmoved.plain(ids, start, copy_of(kv), size)
        for run in (unmoved.cuda, unmoved.triton):
            assert error(run(ids, start, copy_of(kv), size), want) < 1e-3


def test_logits_are_those_of_the_reference_in_8_bits(paths: Paths) -> None:
    kv = make_store()
    got, at = [], 0
    for size in (8, 8, 4, 8, 8, 8, 3, 2, 1):
        got.append(paths.cuda(PROMPT[at : at + size], at, kv, size))
        at += size
    want = paths.plain(PROMPT[:at], 0, make_store(), at)
    exact = paths.reference.forward(PROMPT[:at], 0, PAGES, paths.reference.new_kv(8, 16), at)
    # A number in the middle of two codes may get the other one; 16 bits are farther away.
    assert error(torch.cat(got), want) < 5e-3 < error(want, exact)


def test_cuda_and_triton_read_each_others_caches(paths: Paths) -> None:
    for first, then in ((paths.triton, paths.cuda), (paths.cuda, paths.triton)):
        kv = make_store()
        for at in range(0, 24, 8):
            first(PROMPT[at : at + 8], at, kv, 0)
        want = paths.plain(PROMPT[24:28], 24, copy_of(kv), 4)
        assert error(then(PROMPT[24:28], 24, kv, 4), want) < 4e-3


@pytest.mark.parametrize("kernels", ["cuda", "triton"])
def test_rewinding_leaves_no_trace(paths: Paths, kernels: str) -> None:
    run = paths.cuda if kernels == "cuda" else paths.triton
    kv = make_store()
    run(PROMPT[:8], 0, kv, 0)
    run(PROMPT[8:13], 8, kv, 0)
    fresh = run(PROMPT[13:17], 13, kv, 4)
    run(tokens(8, seed=1), 9, kv, 0)
    run(PROMPT[8:13], 8, kv, 0)
    assert torch.equal(run(PROMPT[13:17], 13, kv, 4), fresh)


def test_a_copied_page_goes_on_as_the_original(paths: Paths) -> None:
    kv = make_store()
    paths.cuda(PROMPT[:8], 0, kv, 0)
    paths.cuda(PROMPT[8:14], 8, kv, 0)
    want = paths.cuda(PROMPT[14:16], 14, copy_of(kv), 2)
    kv.copy_page(PAGES[0], 4)
    paths.cuda(tokens(2, seed=1), 14, kv, 0)
    kv.copy_page(4, PAGES[0])
    assert torch.equal(paths.cuda(PROMPT[14:16], 14, kv, 2), want)
