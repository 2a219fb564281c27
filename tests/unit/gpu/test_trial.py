"""The trial of the fused kernel: what it finds, and what it leaves for the next engine."""

import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from inkling.engine.gpu import trial
from inkling.engine.gpu.trial import KernelFailed, TriedBefore, expect, find_fault, guarded
from tests.unit.gpu.models import TINY, random_weights, reference

pytestmark = pytest.mark.kernel

NUM_POSITIONS = 64
CPU = torch.device("cpu")


class Passes:
    """Passes over one store, one token at a time: bits that do not depend on the others of a pass."""

    def __init__(self) -> None:
        self._model = reference(TINY, random_weights())
        self._kv = self._model.new_kv(NUM_POSITIONS // 16, 16)
        self.sizes: list[int] = []

    def __call__(self, token_ids: Sequence[int], start: int, num_logits: int) -> Tensor:
        self.sizes.append(len(token_ids))
        pages = range(NUM_POSITIONS // 16)
        rows = [
            self._model.forward([token_id], start + at, pages, self._kv, 1)
            for at, token_id in enumerate(token_ids)
        ]
        return torch.cat(rows)[len(rows) - num_logits :]


def fault(
    change: Callable[[Tensor, int], Tensor], num_positions: int = NUM_POSITIONS
) -> str | None:
    """What is found when `change` is done to the logits of each fused pass; it gets the number of passes."""
    passes = Passes()
    count = 0

    def fused(token_ids: Sequence[int], start: int, num_logits: int) -> Tensor:
        nonlocal count
        count += 1
        return change(passes(token_ids, start, num_logits), count)

    return find_fault(fused, expect(passes, TINY.vocab_size, num_positions), 4)


def test_a_kernel_that_agrees_has_no_fault() -> None:
    assert fault(lambda logits, _: logits) is None


def test_rounding_is_no_fault() -> None:
    assert fault(lambda logits, _: logits * 1.01) is None


def test_other_experts_of_some_tokens_are_no_fault() -> None:
    """A router between near equals: fewer than a quarter of the tokens, and not far off."""
    num_changed = 0

    def change(logits: Tensor, at: int) -> Tensor:
        nonlocal num_changed
        is_other = logits.argmax(-1, keepdim=True) % 7 == 3
        num_changed += int(is_other.sum()) if at <= 16 else 0
        return logits * torch.where(is_other, 1.2, 1.0)

    assert fault(change) is None
    assert 1 <= num_changed <= 3


@pytest.mark.parametrize(
    ("change", "off"),
    [
        (lambda logits, _: logits.roll(1, -1), "off by 1"),
        (lambda logits, _: torch.zeros_like(logits), "off by 100.0%"),
        (lambda logits, at: logits * (torch.nan if at == 3 else 1), "are not numbers"),
        (lambda logits, _: logits * 1.15, "its logits are off by 15.0%"),
        (lambda logits, at: logits * (1.2 if at < 5 else 1), "its logits are off by 20.0%"),
        (lambda logits, at: logits * (1.8 if at == 3 else 1), "a token's logits are off by 80.0%"),
    ],
    ids=["elsewhere", "nothing", "not a number", "a little everywhere", "a quarter", "one row"],
)
def test_wrong_logits_are_found(change: Callable[[Tensor, int], Tensor], off: str) -> None:
    found = fault(change)
    assert found is not None
    assert off in found


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_bits_that_change_are_found_in_passes_of_each_size(size: int) -> None:
    found = fault(
        lambda logits, at: logits + 1e-3 if at > 20 and len(logits) == size else logits,
    )
    assert found == f"its logits change from pass to pass with {size} tokens in each"


def test_every_size_of_a_pass_is_tried_several_times() -> None:
    passes = Passes()
    expected = expect(passes, TINY.vocab_size, NUM_POSITIONS)
    assert find_fault(passes, expected, 4) is None
    assert {size: passes.sizes.count(size) for size in (2, 3, 4)} == {2: 32, 3: 20, 4: 16}


def test_a_store_of_one_page_is_enough() -> None:
    assert fault(lambda logits, _: logits, num_positions=16) is None


@pytest.fixture
def kernels(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder that a trial leaves its file in. There is a GPU, of which nothing is wanted."""
    monkeypatch.setattr(trial, "user_cache_path", lambda _: tmp_path)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "a GPU")
    monkeypatch.setattr(torch.cuda, "synchronize", lambda _: None)
    return tmp_path / "kernels"


def left(kernels: Path) -> list[Path]:
    return list(kernels.glob("*.trial"))


def break_down(_: object) -> None:
    raise torch.AcceleratorError("CUDA error: an illegal memory access\nCUDA kernel errors might")


def test_a_trial_that_ends_leaves_nothing(kernels: Path) -> None:
    with guarded("kernel", CPU):
        assert len(left(kernels)) == 1
    assert left(kernels) == []


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, KeyboardInterrupt, ValueError])
def test_what_breaks_no_context_leaves_nothing(kernels: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), guarded("kernel", CPU):
        raise error
    assert left(kernels) == []


def test_a_broken_context_is_for_the_next_engine_to_know(
    kernels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "synchronize", break_down)
    failed = r"failed on this GPU \(CUDA error: an illegal memory access\): start the engine again"
    with pytest.raises(KernelFailed, match=failed), guarded("kernel", CPU):
        pass
    (file,) = left(kernels)
    with pytest.raises(TriedBefore, match=f"remove {file}"), guarded("kernel", CPU):
        pytest.fail("not tried again")
    file.unlink()
    monkeypatch.setattr(torch.cuda, "synchronize", lambda _: None)
    with guarded("kernel", CPU):
        pass


def test_another_kernel_or_gpu_is_tried(kernels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "synchronize", break_down)
    with pytest.raises(KernelFailed), guarded("kernel", CPU):
        pass
    monkeypatch.setattr(torch.cuda, "synchronize", lambda _: None)
    with guarded("another kernel", CPU):
        pass
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "another GPU")
    with guarded("kernel", CPU):
        pass
    assert len(left(kernels)) == 1


def test_a_kernel_that_never_returns_ends_the_process(
    kernels: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ended = threading.Event()
    monkeypatch.setattr(trial, "_LONGEST_S", 0.01)
    monkeypatch.setattr(os, "_exit", lambda _: ended.set())
    with guarded("kernel", CPU):
        assert ended.wait(60)
        assert len(left(kernels)) == 1
    assert "did not return" in caplog.text


def test_a_full_disk_is_no_reason_not_to_try(kernels: Path) -> None:
    kernels.write_text("not a folder")
    with guarded("kernel", CPU):
        pass
