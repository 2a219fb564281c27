"""Converting tiny published checkpoints, for tests."""

from pathlib import Path
from typing import Any, Literal

import torch

from inkling.engine.convert.recipe import load_recipe
from inkling.engine.convert.run import Calibration, convert
from inkling.engine.pick import demo_folder
from tests.published import tiny_fields, write_published
from tests.unit.convert.gptq_double import TorchSolver

CPU = torch.device("cpu")


def publish(
    folder: Path,
    layout: Literal["mxfp4", "bf16"] = "mxfp4",
    num_shards: int | None = 2,
    **changes: Any,
) -> Path:
    """A tiny checkpoint as published, with the demo model's tokenizer."""
    fields = tiny_fields(vocab_size=8192, **changes)
    write_published(
        folder, fields, layout=layout, num_shards=num_shards, tokenizer_folder=demo_folder()
    )
    return folder


def convert_quietly(source: Path, out: Path, recipe: str) -> Path:
    """`convert` with nobody watching, calibrated on a little text by the double of exllamav2."""

    def unwatched(done: float, total: float) -> None:
        assert 0 <= done <= total

    calibration = Calibration(rows=2, length=64, make_solver=TorchSolver)
    convert(
        source, out, load_recipe(recipe), CPU, calibration, checking=unwatched, converting=unwatched
    )
    return out
