"""The Triton pass gives the reference's logits, to the rounding of fp16 activations."""

from collections.abc import Mapping, Sequence
from dataclasses import fields as dataclass_fields
from dataclasses import is_dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor

from inkling.engine import mxfp4
from inkling.engine.gpu.codes import MXFP4
from inkling.engine.gpu.layout import pack_mxfp4
from inkling.engine.gpu.weights import GpuWeights
from inkling.engine.model.config import GptOssConfig
from inkling.engine.model.paged_kv import KVBits, PagedKV
from tests.unit.gpu.models import (
    BALANCED,
    TINY,
    random_mxfp4,
    random_weights,
    reference,
    with_window,
)
from tests.unit.model.gpt_oss_cases import poisoned, tokens

if TYPE_CHECKING:
    from inkling.engine.gpu.triton_pass import GraphedPass

pytestmark = [pytest.mark.kernel, pytest.mark.usefixtures("wide_tiles")]

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
PAGE_LEN = 8
# Fewer blocks of threads than TINY, since the interpreter runs them one by one. A layer of each
# kind; 3 groups of rows, which no tile divides.
SMALL = replace(
    TINY, num_heads=4, num_experts=4, experts_per_token=2, intermediate_size=96, sliding_window=20
)
ONE_LAYER = replace(SMALL, num_layers=1, is_sliding=(False,))
# No two neighbours, and not in order.
PAGES = [5, 2, 11, 8, 0, 14, 3, 9, 12, 6, 1, 15, 4, 13, 10, 7]


def moved(weights: Any) -> Any:
    """Weights on the device the tests run on."""
    if isinstance(weights, Tensor):
        return weights.to(DEVICE)
    if isinstance(weights, tuple):
        return tuple(map(moved, weights))
    if is_dataclass(weights) and not isinstance(weights, type):
        parts = {f.name: moved(getattr(weights, f.name)) for f in dataclass_fields(weights)}
        return replace(weights, **parts)
    return weights


class Case:
    """A model, its reference and a store of each, in which what was never written is NaN."""

    def __init__(
        self,
        config: GptOssConfig = SMALL,
        bits: Mapping[str, int] = BALANCED,
        weights: GpuWeights | None = None,
        *,
        is_permuted: bool = False,
        kv_bits: KVBits = 16,
    ) -> None:
        from inkling.engine.gpu.triton_pass import TritonPass

        if weights is None:
            weights = random_weights(config, bits, is_permuted=is_permuted)
        self.reference = reference(config, weights)
        self.model = TritonPass(config, moved(weights))
        self.page_table = torch.tensor(PAGES, dtype=torch.int32, device=DEVICE)
        self.reference_kv = poisoned(self.reference.new_kv(len(PAGES), PAGE_LEN, kv_bits))
        self.kv = poisoned(
            PagedKV(
                config.num_layers,
                len(PAGES),
                PAGE_LEN,
                config.num_kv_heads,
                config.head_dim,
                dtype=torch.float16,
                device=DEVICE,
                bits=kv_bits,
            )
        )

    def run(self, token_ids: Sequence[int], start: int, num_logits: int) -> Tensor:
        ids = torch.tensor(token_ids, dtype=torch.int32, device=DEVICE)
        at = torch.tensor([start], dtype=torch.int32, device=DEVICE)
        return self.model.forward(ids, at, self.page_table, self.kv, num_logits)

    def check(self, token_ids: Sequence[int], start: int, num_logits: int | None = None) -> None:
        """Append tokens to both, and compare the logits."""
        if num_logits is None:
            num_logits = len(token_ids)
        want = self.reference.forward(token_ids, start, PAGES, self.reference_kv, num_logits)
        check_close(self.run(token_ids, start, num_logits), want)


def check_close(got: Tensor, want: Tensor) -> None:
    got = got.float().cpu()
    assert got.shape == want.shape
    assert (got - want).norm() / want.norm() < 5e-3
    p, q = want.log_softmax(-1), got.log_softmax(-1)
    assert (p.exp() * (p - q)).sum(-1).max() < 1e-4


@pytest.fixture(scope="module")
def small() -> Case:
    """One model for tests that only need some model; each starts a new sequence."""
    return Case()


def test_a_whole_prompt_and_what_is_appended() -> None:
    case = Case(TINY)
    prompt = tokens(47)
    case.check(prompt[:44], 0)
    case.check(prompt[44:], 44)


@pytest.mark.parametrize("count", [1, 3, 8, 17])
def test_passes_of_any_size(small: Case, count: int) -> None:
    prompt = tokens(25 + count, seed=count)
    small.check(prompt[:25], 0, num_logits=1)
    small.check(prompt[25:], 25)


def test_only_the_last_logits_are_made(small: Case) -> None:
    prompt = tokens(20)
    every = small.run(prompt, 0, 20)
    # The head may use another tile for fewer rows, which adds in another order.
    torch.testing.assert_close(small.run(prompt, 0, 3), every[-3:], rtol=1e-4, atol=1e-4)
    assert small.run(prompt, 0, 0).shape == (0, SMALL.vocab_size)


def test_rewinding_leaves_no_trace(small: Case) -> None:
    prompt = tokens(20)
    small.run(prompt, 0, 1)
    fresh = small.run(prompt[15:], 15, 5)
    small.run(tokens(8, seed=1), 14, 1)
    small.run(prompt[14:15], 14, 1)
    assert torch.equal(small.run(prompt[15:], 15, 5), fresh)


@pytest.mark.parametrize("window", [1, 16])
def test_windows(window: int) -> None:
    case = Case(with_window(replace(ONE_LAYER, is_sliding=(True,)), window))
    prompt = tokens(38)
    case.check(prompt[:33], 0)
    case.check(prompt[33:], 33)


@pytest.mark.parametrize("bits", [MXFP4, 3, 4, 5, 6, 8, 16])
def test_widths(bits: int) -> None:
    case = Case(ONE_LAYER, dict.fromkeys(BALANCED, bits))
    prompt = tokens(24)
    case.check(prompt[:20], 0)
    case.check(prompt[20:], 20)


def test_mxfp4_of_any_exponent_is_its_nearest_in_fp16() -> None:
    from inkling.engine.gpu.kernels.dense import dense

    matrix = random_mxfp4(128, 64, torch.Generator().manual_seed(0))
    scales = matrix.scales.flatten()
    scales[:129] = torch.arange(129, dtype=torch.uint8)
    got = dense(torch.eye(128, dtype=torch.float16, device=DEVICE), moved(pack_mxfp4([matrix])))
    assert torch.equal(got.cpu(), mxfp4.dequantize(matrix).half().float())


@pytest.mark.parametrize("bits", [5, 8])
def test_permuted_matrices(bits: int) -> None:
    case = Case(ONE_LAYER, dict.fromkeys(BALANCED, bits), is_permuted=True)
    prompt = tokens(24)
    case.check(prompt[:20], 0)
    case.check(prompt[20:], 20)


def test_enough_tokens_for_every_size_of_tile() -> None:
    from inkling.engine.gpu.kernels.tiles import dense_tile, experts_tile

    config = replace(ONE_LAYER, num_experts=8, experts_per_token=4)
    prompt = tokens(120)
    case = Case(config)
    for first, last in [(0, 120), (0, 96), (96, 112), (112, 116)]:
        case.check(prompt[first:last], first, num_logits=2)
    sizes = (120, 96, 16, 4)
    assert {dense_tile(n).rows for n in sizes} == {16, 64}
    assert {experts_tile(n * 4, config.num_experts).rows for n in sizes} == {16, 64, 128}


def test_large_residuals_do_not_overflow() -> None:
    weights = random_weights(SMALL)
    weights = replace(weights, embedding=weights.embedding * 1e4)
    layers = tuple(
        replace(layer, down_bias=layer.down_bias * 1e6, router=layer.router * 0.1)
        for layer in weights.layers
    )
    case = Case(weights=replace(weights, layers=layers))
    case.check(tokens(12), 0)


def test_sinks_take_weight() -> None:
    weights = random_weights(SMALL)
    layers = tuple(replace(layer, sinks=layer.sinks * 4 + 6) for layer in weights.layers)
    case = Case(weights=replace(weights, layers=layers))
    case.check(tokens(20), 0)
    case.check(tokens(2), 20)


def test_padding_is_not_stored_and_changes_nothing(small: Case) -> None:
    """What a graph for 8 tokens does with 5, at the end of the last page."""
    table = small.page_table[:3]
    prompt = tokens(3 * PAGE_LEN)
    first = len(prompt) - 5
    small.run(prompt[:first], 0, 1)
    want = small.run(prompt[first:], first, 5)
    keys = small.kv.keys.clone()
    ids = torch.tensor([*prompt[first:], 1, 2, 3], dtype=torch.int32, device=DEVICE)
    start = torch.tensor([first], dtype=torch.int32, device=DEVICE)
    count = torch.tensor([5], dtype=torch.int32, device=DEVICE)
    got = small.model.forward(ids, start, table, small.kv, 8, count)
    assert torch.equal(got[:5], want)
    assert torch.equal(small.kv.keys.nan_to_num(-1), keys.nan_to_num(-1))


@pytest.fixture(scope="module")
def graphed(small: Case) -> "GraphedPass":
    from inkling.engine.gpu.triton_pass import GraphedPass

    return GraphedPass(small.model, small.kv, len(PAGES))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("count", [*range(1, 9), 16, 20, 40])
def test_a_graph_gives_the_same_bits(small: Case, graphed: "GraphedPass", count: int) -> None:
    from inkling.engine.gpu.triton_pass import BUCKETS

    prompt = tokens(40 + count)
    small.run(prompt[:40], 0, 1)
    padding = next(bucket for bucket in BUCKETS if bucket >= count) - count
    ids, start, rows = (
        torch.tensor(values, dtype=torch.int32, device=DEVICE)
        for values in ([*prompt[40:], *[0] * padding], [40], [count])
    )
    table = torch.tensor(PAGES, dtype=torch.int32, device=DEVICE)
    want = small.model.forward(ids, start, table, small.kv, padding + count, rows)[:count]
    small.run(tokens(8, seed=3), 40, 1)
    assert torch.equal(graphed.forward(prompt[40:], 40, table, count), want)
    assert torch.equal(graphed.forward(prompt[40:], 40, table, 1), want[-1:])
