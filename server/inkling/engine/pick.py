"""Which model this engine serves: the configured EXL2 one where it can run, else the demo model."""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import torch

from inkling.config import EngineSettings
from inkling.engine.exl2 import load_checkpoint
from inkling.engine.model.base import Model
from inkling.engine.stub import StubModel
from inkling.errors import InklingError
from inkling.tokenizer import Tokenizer


class TooLarge(InklingError):
    """The model does not fit the GPU."""


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


def pick_model(settings: EngineSettings) -> Picked:
    """Load the model that `settings` and this machine allow. Raises CheckpointError, NoGPU, TooLarge."""
    has_gpu = torch.cuda.is_available()
    if settings.device == "cuda" and not has_gpu:
        raise NoGPU(
            'engine.device is "cuda", but torch finds no GPU: install a CUDA build of torch, or set '
            'it to "auto".'
        )
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
        return _load(demo, "demo", device, f"demo model on {device}")
    folder = Path(settings.model).expanduser()
    if not has_gpu and settings.device == "auto":
        why = f"{folder.name} is configured, but there is no GPU"
        return _load(demo, "demo", "cpu", f"demo model on cpu ({why})")
    return _load(folder, "exl2", device, f"{folder.name} (EXL2) on {device}")


def _load(folder: Path, kind: str, device: str, description: str) -> Picked:
    tokenizer = Tokenizer.load(folder)
    try:
        model = load_checkpoint(folder, torch.device(device), torch.float32)
    except torch.OutOfMemoryError as error:
        raise TooLarge(
            f"{folder.name} does not fit the GPU: this release computes in fp32, four bytes a "
            "parameter. Unset engine.model to use the demo model."
        ) from error
    name = "inkling-demo" if kind == "demo" else folder.name
    return Picked(model, tokenizer, folder, name, kind, device, description)
