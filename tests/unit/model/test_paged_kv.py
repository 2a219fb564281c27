"""Keys and values in 8 bits: what rounding costs, and that scales go wherever their codes go."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from inkling.engine.model.paged_kv import KVBits, PagedKV, quantize_rows
from tests.unit.model.gpt_oss_cases import (
    PAGE_LEN,
    checkpoint,
    fields,
    poisoned,
    poisoned_kv,
    tokens,
    transformers_model,
)

CPU = torch.device("cpu")
PAGES = [6, 1, 4]

numbers = st.one_of(
    st.floats(width=32, allow_nan=False, allow_infinity=False),
    st.floats(-10, 10, width=32),
    st.floats(-(2**-14), 2**-14, width=32),
)


@given(st.lists(numbers, min_size=1, max_size=64))
def test_a_number_comes_back_within_half_a_step(row: list[float]) -> None:
    rows = torch.tensor([row])
    codes, scales = quantize_rows(rows)
    assert codes.dtype == torch.int8 and scales.dtype == torch.float16
    assert scales.shape == (1,) and torch.isfinite(scales).all()
    assert codes.min() >= -127
    error = (codes * scales.float()[:, None] - rows.clamp(-65504, 65504)).abs().max()
    # Where fp16 rounds a scale down to few bits, by 2 ** -25 at most, the largest numbers lie beyond 127 of it.
    assert error <= max(float(scales) / 2, 127 * 2**-25) * (1 + 1e-5)


@pytest.mark.parametrize("scale", [2.0**-10, 1.0, 512.0])
def test_codes_are_rounded_half_to_even(scale: float) -> None:
    row = torch.tensor([127, 0.5, 1.5, 2.5, -0.5, -1.5, -126.5, 0.49]) * scale
    codes, scales = quantize_rows(row)
    assert float(scales) == scale
    assert codes.tolist() == [127, 0, 2, 2, 0, -2, -126, 0]


def test_rows_at_the_edges() -> None:
    rows = torch.tensor([[0.0, -0.0], [1e-7, -1e-6], [1e-5, 0.0], [1e9, -65504.0], [3e38, 1.0]])
    codes, scales = quantize_rows(rows)
    assert scales[:2].tolist() == [0, 0] and not codes[:2].any()
    assert codes[2:].tolist() == [[127, 0], [127, -127], [127, 0]]


def store(bits: KVBits = 8, dtype: torch.dtype = torch.float32) -> PagedKV:
    return poisoned(PagedKV(2, 8, 4, 2, 16, dtype=dtype, device=CPU, bits=bits))


@pytest.mark.parametrize("bits", [16, 8])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_what_is_written_is_read(bits: KVBits, dtype: torch.dtype) -> None:
    """In pages that lie in a row and in scattered ones, in one layer and not in the other."""
    kv = store(bits, dtype)
    keys, values = torch.randn(2, 9, 2, 16, generator=torch.Generator().manual_seed(0)).to(dtype)
    for pages in (PAGES, [2, 3, 4]):
        kv.write(1, kv.slots(pages, 2, 9), keys, values)
        got_keys, got_values = kv.read(1, kv.page_index(pages))
        assert got_keys.dtype == got_values.dtype == dtype
        for got, wrote in ((got_keys, keys), (got_values, values)):
            assert got[[0, 1, 11]].isnan().all()
            steps = wrote.abs().amax(-1, keepdim=True) / 127
            error = (got[2:11] - wrote).abs()
            assert (error == 0).all() if bits == 16 else (error <= steps * 0.57).all()
    assert kv.read(0, kv.page_index(PAGES))[0].isnan().all()


def test_a_copied_page_has_its_scales() -> None:
    kv = store()
    rows = torch.randn(2, 4, 2, 16)
    for layer in range(2):
        kv.write(layer, kv.slots([3], 0, 4), rows[0], rows[1])
    kv.copy_page(3, 7)
    kv.write(0, kv.slots([3], 0, 4), rows[1] * 9, rows[0] * 9)  # the original goes elsewhere
    for copied, original in zip(kv.read(0, slice(7, 8)), kv.read(1, slice(3, 4)), strict=True):
        assert torch.equal(copied, original)


def test_bytes_of_a_position() -> None:
    assert store(16).bytes_per_token == 2 * 2 * 2 * 16 * 4
    assert store(8).bytes_per_token == 2 * 2 * 2 * (16 + 2)


def test_the_reference_reads_what_it_rounded(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Chunks, a rewind and a page copied on write in 8 bits: as the whole prompt at once, near 16 bits."""
    config = fields()
    model = checkpoint(tmp_path_factory.mktemp("model"), config, transformers_model(config, 0))
    prompt = tokens(45)
    pages = torch.randperm(20, generator=torch.Generator().manual_seed(0)).tolist()
    exact = model.forward(prompt, 0, pages, poisoned_kv(model, 20), 45)
    whole = model.forward(prompt, 0, pages, poisoned_kv(model, 20, 8), 45)
    assert 1e-4 < (whole - exact).norm() / exact.norm() < 2e-2

    kv = poisoned_kv(model, 30, 8)
    model.forward(prompt[:42], 0, pages, kv, 0)
    model.forward(tokens(12, seed=1), 30, pages, kv, 1)
    model.forward(prompt[30:42], 30, pages, kv, 0)
    last = 42 // PAGE_LEN
    kv.copy_page(pages[last], 25)
    model.forward(tokens(2, seed=1), 42, pages, kv, 0)
    branch = [*pages[:last], 25, 26, 27]
    logits = model.forward(prompt[42:], 42, branch, kv, 3)
    # A number that is near the middle of two codes may be rounded to the other in another pass.
    assert (logits - whole[42:]).norm() / whole[42:].norm() < 2e-3
