"""Which model is served where, and what is said when it cannot be."""

import sys
import types
from pathlib import Path

import pytest
import torch

from inkling.config import EngineSettings
from inkling.engine import pick
from inkling.engine.gpu.load import load_gpu_weights
from inkling.engine.gpu.upload import Progress
from inkling.engine.gpu.weights import GpuWeights
from inkling.engine.model.config import GptOssConfig
from inkling.engine.pick import NoGPU, demo_folder, pick_model
from inkling.errors import TooLarge


def test_a_configured_model_waits_for_a_gpu_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    picked = pick_model(EngineSettings(model="/models/big"))
    assert picked.kind == "demo"
    assert picked.description == "demo model on cpu (big is configured, but there is no GPU)"
    with pytest.raises(NoGPU, match="torch finds no GPU"):
        pick_model(EngineSettings(device="cuda"))


def test_a_configured_model_runs_on_a_cpu_when_asked_for() -> None:
    picked = pick_model(EngineSettings(model=str(demo_folder()), device="cpu"))
    assert (picked.kind, picked.device, picked.root) == ("exl2", "cpu", demo_folder())


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """A GPU of 16 GiB whose memory is the CPU's. Returns what the models on it were made of."""
    made: list[tuple[object, ...]] = []

    class GpuModel:
        def __init__(self, *parts: object) -> None:
            made.append(parts)

    def load(folder: Path, device: torch.device, progress: Progress | None) -> tuple[object, ...]:
        assert device.type == "cuda"
        return load_gpu_weights(folder, torch.device("cpu"), progress)

    module = types.ModuleType("inkling.engine.gpu.model")
    monkeypatch.setattr(module, "GpuModel", GpuModel, raising=False)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (15 << 30, 16 << 30))
    monkeypatch.setattr(pick, "load_gpu_weights", load)
    return made


@pytest.mark.parametrize("model", [None, str(demo_folder())], ids=["demo", "exl2"])
def test_a_gpu_takes_packed_weights(gpu: list[tuple[object, ...]], model: str | None) -> None:
    seen: list[tuple[int, int]] = []
    picked = pick_model(EngineSettings(model=model), lambda *bytes_: seen.append(bytes_))
    assert (picked.device, picked.root) == ("cuda", demo_folder())
    [(config, weights)] = gpu
    assert config == GptOssConfig.from_json(demo_folder() / "config.json")
    assert isinstance(weights, GpuWeights)
    assert seen[-1][0] == seen[-1][1] > 0


def test_a_kv_cache_too_large_for_the_gpu_is_refused_before_loading(
    gpu: list[tuple[object, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pick, "load_gpu_weights", None)
    with pytest.raises(
        TooLarge, match=r"but 15.0 GiB of 16.0 GiB are free: lower engine.kv_tokens"
    ):
        pick_model(EngineSettings(model=str(demo_folder()), kv_tokens=10_000_000))


def test_memory_that_others_take_meanwhile_is_one_sentence(
    gpu: list[tuple[object, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(folder: Path, device: torch.device, progress: Progress | None) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(pick, "load_gpu_weights", load)
    with pytest.raises(
        TooLarge, match="demo no longer fitted the GPU while it was loaded: end oth"
    ):
        pick_model(EngineSettings(model=str(demo_folder())))
