"""The model that runs on a GPU, with its fused kernel emulated: what `Model` and `Decoder` promise."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from inkling.engine.gpu import trial
from inkling.engine.gpu.step import Unsupported
from inkling.engine.gpu.step_arguments import MOST_ROWS
from inkling.engine.model.base import Decoder
from inkling.engine.model.paged_kv import KVBits
from tests.unit.gpu.emulated import EmulatedStep
from tests.unit.gpu.models import TINY, random_weights

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(torch.cuda.is_available(), reason="make gpu-test runs the real one"),
    pytest.mark.skipif(shutil.which("g++") is None, reason="the kernel is compiled with g++"),
]

PAGES = [3, 1]


class DoneAtOnce:
    """Of torch.cuda, a stream and an event: the emulated kernel has run when it returns."""

    def __init__(self, *_: object) -> None: ...

    def record(self) -> None: ...

    def synchronize(self) -> None: ...


class NoGraphs:
    """A CPU has none: every long pass runs eagerly."""

    most_tokens = 0

    def __init__(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where compiled kernels are kept."""
    return tmp_path_factory.mktemp("emulated")


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[Any]:
    """A `GpuModel` on the CPU and its store."""
    from inkling.engine.gpu import model as module

    empty = torch.empty

    def pageable(*size: int, pin_memory: bool = False, **options: Any) -> torch.Tensor:
        return empty(*size, **options)

    weights = random_weights()
    emulated: Any = EmulatedStep(TINY, weights, 16, folder)
    emulated.most_rows = MOST_ROWS
    monkeypatch.setattr(module, "StepPass", lambda *_: emulated)
    monkeypatch.setattr(module, "GraphedPass", NoGraphs)
    monkeypatch.setattr(module, "guarded", lambda *_: contextlib.nullcontext())
    monkeypatch.setattr(module, "expect", lambda *_: None)
    monkeypatch.setattr(module, "find_fault", lambda *_: None)
    monkeypatch.setattr(torch, "empty", pageable)
    monkeypatch.setattr(torch.cuda, "Event", DoneAtOnce)
    monkeypatch.setattr(torch.cuda, "current_stream", DoneAtOnce)
    made = module.GpuModel(TINY, weights)
    yield made, made.new_kv(8, 16)


def test_steps_in_a_row_are_passes_and_an_argmax(model: Any) -> None:
    made, kv = model
    is_decoder = isinstance(made, Decoder)
    assert is_decoder
    first = int(made.forward([1, 2, 3], 0, PAGES, kv, 1).argmax())
    want = [first]
    for at in range(3, 8):
        want.append(int(made.forward([want[-1]], at, PAGES, kv, 1).argmax()))
    steps: list[Any] = [first]
    for at in range(3, 8):  # nobody waits for a token until all are under way
        steps.append(made.decode(steps[-1], at, PAGES, kv))
    assert [first, *(step.token_id() for step in steps[1:])] == want


def test_logits_are_the_callers(model: Any) -> None:
    made, kv = model
    logits = made.forward([1, 2], 0, PAGES, kv, 2)
    before = logits.clone()
    for token_id in range(4):
        made.forward([token_id], 2, PAGES, kv, 1)
    assert torch.equal(logits, before)


@pytest.mark.parametrize(
    ("token_ids", "start", "num_logits", "problem"),
    [([], 0, 0, "one token"), ([1], 32, 1, "do not hold"), ([1], 0, 2, "logits")],
)
def test_what_cannot_be_is_refused(
    model: Any, token_ids: list[int], start: int, num_logits: int, problem: str
) -> None:
    made, kv = model
    with pytest.raises(ValueError, match=problem):
        made.forward(token_ids, start, PAGES, kv, num_logits)


def test_another_models_store_is_refused(model: Any) -> None:
    made, _ = model
    with pytest.raises(TypeError, match="its own new_kv"):
        made.forward([1], 0, PAGES, object(), 1)


@pytest.mark.parametrize(("bits", "dtype"), [(16, torch.float16), (8, torch.int8)])
def test_bits_of_the_kv_cache_reach_store_and_kernel(
    monkeypatch: pytest.MonkeyPatch, bits: KVBits, dtype: torch.dtype
) -> None:
    from inkling.engine.gpu import model as module

    asked = []

    def step_pass(*arguments: Any) -> None:
        asked.append(arguments[-1])
        raise Unsupported("for a test")

    monkeypatch.setattr(module, "StepPass", step_pass)
    monkeypatch.setattr(module, "GraphedPass", NoGraphs)
    kv = module.GpuModel(TINY, random_weights()).new_kv(8, 16, bits)
    assert (kv.keys.dtype, asked) == (dtype, [bits])


def test_a_kernel_that_fails_its_trial_leaves_all_passes_to_triton(
    model: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from inkling.engine.gpu import model as module
    from inkling.engine.gpu.triton_pass import BUCKETS

    made, _ = model
    captured = []
    monkeypatch.setattr(
        module,
        "GraphedPass",
        lambda *arguments: captured.append(arguments[-1]),
    )
    assert made.max_rows == MOST_ROWS
    monkeypatch.setattr(module, "find_fault", lambda *_: "its logits are off by 9.0%")
    made.new_kv(8, 16)
    assert captured == [[size for size in BUCKETS if size > MOST_ROWS], list(BUCKETS)]
    assert made.max_rows == 1
    assert "not used: its logits are off by 9.0%" in caplog.text


def test_the_fused_kernel_passes_its_trial(
    model: Any, monkeypatch: pytest.MonkeyPatch, wide_tiles: None
) -> None:
    """The emulated one, that is; the reference is Triton's interpreter."""
    from inkling.engine.gpu import model as module

    made, _ = model
    monkeypatch.setattr(module, "expect", trial.expect)
    monkeypatch.setattr(module, "find_fault", trial.find_fault)
    monkeypatch.setattr(trial, "_REPEATS", 1)
    made.new_kv(1, 16)
    assert made.max_rows == MOST_ROWS
