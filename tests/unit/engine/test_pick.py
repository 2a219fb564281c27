"""Which model is served where, and what is said when it cannot be."""

import sys
import types
from pathlib import Path

import pytest
import torch

from inkling.config import EngineSettings
from inkling.engine import exllamav2, pick
from inkling.engine.exllamav2 import load_exllamav2
from inkling.engine.exllamav2.kernels import Kernels
from inkling.engine.gpu.load import load_gpu_weights
from inkling.engine.gpu.upload import Progress
from inkling.engine.gpu.weights import GpuWeights
from inkling.engine.model.config import GptOssConfig
from inkling.engine.model.reference import GptOss
from inkling.engine.model.weights import Matrix
from inkling.engine.pick import NoGPU, demo_folder, pick_model
from inkling.errors import NotInstalled, TooLarge
from tests.unit.exllamav2.double import Exllamav2Double


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
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (7 << 30, 8 << 30))
    with pytest.raises(TooLarge, match=r"but 7.0 GiB of 8.0 GiB are free: lower engine.kv_tokens"):
        pick_model(EngineSettings(model=str(demo_folder()), kv_tokens=4_000_000))


def test_8_bits_let_a_larger_kv_cache_fit(gpu: list[tuple[object, ...]]) -> None:
    settings = EngineSettings(model=str(demo_folder()), kv_tokens=4_000_000)
    with pytest.raises(TooLarge, match="are free: set engine.kv_bits to 8, or lower engine.kv_tok"):
        pick_model(settings)
    assert not gpu
    pick_model(settings.model_copy(update={"kv_bits": 8}))
    assert gpu


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


EXLLAMAV2 = EngineSettings(model=str(demo_folder()), backend="exllamav2")


@pytest.fixture
def double(gpu: list[tuple[object, ...]], monkeypatch: pytest.MonkeyPatch) -> Exllamav2Double:
    """exllamav2 on that GPU."""
    double = Exllamav2Double()

    def load(
        folder: Path, device: torch.device, kernels: Kernels, progress: Progress | None
    ) -> GptOss[Matrix]:
        assert device.type == "cuda"
        return load_exllamav2(folder, torch.device("cpu"), kernels, progress)

    monkeypatch.setattr(exllamav2, "load_kernels", lambda: double.kernels)
    monkeypatch.setattr(exllamav2, "load_exllamav2", load)
    return double


@pytest.mark.parametrize("model", [None, str(demo_folder())], ids=["demo", "exl2"])
def test_exllamav2_multiplies_when_asked_to(
    gpu: list[tuple[object, ...]], double: Exllamav2Double, model: str | None
) -> None:
    seen: list[tuple[int, int]] = []
    settings = EngineSettings(model=model, backend="exllamav2")
    picked = pick_model(settings, lambda *bytes_: seen.append(bytes_))
    assert picked.description.endswith(" on cuda, by exllamav2")
    assert isinstance(picked.model, GptOss) and not gpu
    assert double.made and not double.rows
    picked.model.forward([1], 0, [0], picked.model.new_kv(1, 16), 1)
    assert double.rows
    assert seen[-1][0] == seen[-1][1] > 0


def test_exllamav2_needs_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    for has_gpu in (False, True):
        monkeypatch.setattr(torch.cuda, "is_available", lambda has_gpu=has_gpu: has_gpu)
        with pytest.raises(
            NoGPU, match=r'which needs a GPU, but engine.device is "cpu": set it to'
        ):
            pick_model(EngineSettings(device="cpu", backend="exllamav2"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(
        NoGPU, match=r'^engine.backend is "exllamav2", but torch finds no GPU: install'
    ):
        pick_model(EXLLAMAV2)
    assert pick_model(EngineSettings(model="stub", backend="exllamav2")).kind == "stub"


def test_exllamav2_that_is_not_there_costs_no_loading(
    double: Exllamav2Double, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> Kernels:
        raise NotInstalled("exllamav2 is not installed: install it.")

    monkeypatch.setattr(exllamav2, "load_kernels", missing)
    monkeypatch.setattr(exllamav2, "load_exllamav2", None)
    with pytest.raises(NotInstalled):
        pick_model(EXLLAMAV2)


def test_a_kv_cache_too_large_beside_exllamav2(
    double: Exllamav2Double, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exllamav2, "load_exllamav2", None)
    settings = EXLLAMAV2.model_copy(update={"kv_tokens": 4_000_000})
    with pytest.raises(TooLarge, match=r'but 15.0 GiB are free: set engine.backend to "fused"'):
        pick_model(settings)
