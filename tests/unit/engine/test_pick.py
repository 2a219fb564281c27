"""Which model is served where, and what is said when it cannot be."""

from pathlib import Path

import pytest
import torch

from inkling.config import EngineSettings
from inkling.engine import pick
from inkling.engine.pick import NoGPU, TooLarge, demo_folder, pick_model


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


def test_a_model_too_large_for_the_gpu_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(folder: Path, device: torch.device, dtype: torch.dtype) -> None:
        assert device.type == "cuda"
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(pick, "load_checkpoint", load)
    with pytest.raises(TooLarge, match="demo does not fit the GPU: this release computes in fp32"):
        pick_model(EngineSettings(model=str(demo_folder())))
