"""Which model this engine serves, and by what: the configured EXL2 one where it can run, else the demo."""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import torch

from inkling.config import EngineSettings
from inkling.engine import exllamav2
from inkling.engine.budget import PAGE_LEN, num_pages
from inkling.engine.exl2 import load_checkpoint
from inkling.engine.gpu.load import load_gpu_weights
from inkling.engine.gpu.memory import check_fits, needed
from inkling.engine.gpu.upload import Progress
from inkling.engine.model.base import Model
from inkling.engine.model.config import GptOssConfig
from inkling.engine.model.paged_kv import KVBits
from inkling.engine.stub import StubModel
from inkling.errors import InklingError, TooLarge
from inkling.tokenizer import Tokenizer


class NoGPU(InklingError):
    """The settings ask for a GPU that is not there."""


@dataclass(frozen=True)
class Picked:
    """A loaded model and what every surface says of it. `kind`: "demo", "exl2" or "stub"."""

    model: Model
    tokenizer: Tokenizer
    root: Path
    id: str
    kind: str
    device: str
    description: str


def demo_folder() -> Path:
    """The demo checkpoint that comes with the package."""
    return Path(str(files("inkling.models").joinpath("demo")))


def pick_model(settings: EngineSettings, progress: Progress | None = None) -> Picked:
    """Load the model that `settings` and this machine allow.

    `progress` is told the done and all bytes of the files while a model goes to the GPU. Raises
    CheckpointError, NoGPU, NotInstalled and TooLarge.
    """
    has_gpu = torch.cuda.is_available()
    if settings.device == "cuda" and not has_gpu:
        raise NoGPU(
            'engine.device is "cuda", but torch finds no GPU: install a CUDA build of torch, or set '
            'it to "auto".'
        )
    if settings.backend == "exllamav2" and settings.model != "stub":
        _check_exllamav2_can_run(settings, has_gpu)
    device = (
        "cuda" if settings.device == "cuda" or (settings.device == "auto" and has_gpu) else "cpu"
    )
    demo = demo_folder()
    if settings.model == "stub":
        return Picked(
            StubModel(Tokenizer.load(demo)),
            Tokenizer.load(demo),
            demo,
            "stub",
            "stub",
            "cpu",
            "stub (canned text, no model)",
        )
    if settings.model is None:
        return _load(demo, "demo", device, f"demo model on {device}", settings, progress)
    folder = Path(settings.model).expanduser()
    if not has_gpu and settings.device == "auto":
        why = f"{folder.name} is configured, but there is no GPU"
        return _load(demo, "demo", "cpu", f"demo model on cpu ({why})", settings, progress)
    return _load(folder, "exl2", device, f"{folder.name} (EXL2) on {device}", settings, progress)


def _load(
    folder: Path,
    kind: str,
    device: str,
    description: str,
    settings: EngineSettings,
    progress: Progress | None,
) -> Picked:
    if settings.backend == "exllamav2":
        description += ", by exllamav2"
    tokenizer = Tokenizer.load(folder)
    model = (
        load_checkpoint(folder, "cpu", torch.float32)
        if device == "cpu"
        else _load_on_gpu(folder, settings, progress)
    )
    name = "inkling-demo" if kind == "demo" else folder.name
    return Picked(model, tokenizer, folder, name, kind, device, description)


def _check_exllamav2_can_run(settings: EngineSettings, has_gpu: bool) -> None:
    if settings.device == "cpu":
        raise NoGPU(
            'engine.backend is "exllamav2", which needs a GPU, but engine.device is "cpu": set it to'
            ' "auto", or engine.backend to "fused".'
        )
    if not has_gpu:
        raise NoGPU(
            'engine.backend is "exllamav2", but torch finds no GPU: install a CUDA build of torch, or'
            ' set it to "fused".'
        )


def _load_on_gpu(folder: Path, settings: EngineSettings, progress: Progress | None) -> Model:
    longest = GptOssConfig.from_json(folder / "config.json").max_position_embeddings
    kv_tokens = num_pages(settings, longest) * PAGE_LEN
    load = _load_exllamav2 if settings.backend == "exllamav2" else _load_fused
    try:
        return load(folder, kv_tokens, settings.kv_bits, progress)
    except torch.OutOfMemoryError as error:
        raise TooLarge(
            f"{folder.name} no longer fitted the GPU while it was loaded: end other programs that use"
            " the GPU, and try again."
        ) from error


def _load_fused(folder: Path, kv_tokens: int, kv_bits: KVBits, progress: Progress | None) -> Model:
    # Only here: a machine without a GPU need not have what the kernels are built with.
    try:
        from inkling.engine.gpu.model import GpuModel
    except ModuleNotFoundError as error:
        raise NoGPU(
            f"{error.name} is not installed, which a GPU needs: install a CUDA build of torch, which "
            'brings it, or set engine.device to "cpu".'
        ) from error

    check_fits(needed(folder, kv_tokens, PAGE_LEN, kv_bits), *torch.cuda.mem_get_info())
    return GpuModel(*load_gpu_weights(folder, torch.device("cuda"), progress))


def _load_exllamav2(
    folder: Path, kv_tokens: int, kv_bits: KVBits, progress: Progress | None
) -> Model:
    kernels = exllamav2.load_kernels()
    free_bytes, _ = torch.cuda.mem_get_info()
    exllamav2.check_fits(exllamav2.needed(folder, kv_tokens, PAGE_LEN, kv_bits), free_bytes)
    return exllamav2.load_exllamav2(folder, torch.device("cuda"), kernels, progress)
