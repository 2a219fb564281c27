"""The conversion itself: every item of the plan through its method into the output."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from inkling import __version__
from inkling.engine.convert.calibration import calibrate
from inkling.engine.convert.calibration_text import LENGTH, ROWS, calibration_tokens
from inkling.engine.convert.gptq import Exllamav2Solver, Solver
from inkling.engine.convert.hashes import hash_files
from inkling.engine.convert.methods import Weight, apply, relative_error, to_device, to_half
from inkling.engine.convert.output import Output, as_bytes, check_is_free
from inkling.engine.convert.plan import Item, Plan, make_plan
from inkling.engine.convert.recipe import Recipe
from inkling.engine.convert.source import Source
from inkling.engine.convert.workers import in_parallel
from inkling.engine.exl2.names import Linear
from inkling.engine.mxfp4 import BLOCK
from inkling.errors import CheckpointError
from inkling.tokenizer import Tokenizer

# Told what is done and all there is to do.
Report = Callable[[float, float], None]

# What a checkpoint has beside weights and config.json, as far as it is there.
_COPIED = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "generation_config.json",
    "chat_template.jinja",
    "LICENSE",
    "USAGE_POLICY",
)


@dataclass(frozen=True)
class Calibration:
    """What a calibrated recipe needs: `rows` of `length` tokens of the source files in `text` (None:
    Python's own library), and who solves."""

    text: Path | None = None
    rows: int = ROWS
    length: int = LENGTH
    make_solver: Callable[[], Solver] = Exllamav2Solver


def convert(
    folder: Path,
    out: Path,
    recipe: Recipe,
    device: torch.device,
    calibration: Calibration,
    *,
    checking: Report,
    converting: Report,
) -> None:
    """Convert the published checkpoint in `folder` into the new folder `out`.

    Stopped at any moment, the same call goes on after the last finished matrix and comes to the same
    bytes. `checking` is told of bytes of the source, `converting` of weights.

    Raises CheckpointError for a source that cannot be used, OutputError for an output that cannot be
    written, CalibrationError for a calibrated recipe that cannot be carried out.
    """
    with Source(folder) as source:
        copies = _copies(folder)
        plan = make_plan(source.names, recipe)
        # First what may be refused, then what takes minutes.
        check_is_free(out)
        solver = calibration.make_solver() if recipe.is_calibrated else None
        about: dict[str, Any] = {
            "inkling": __version__,
            "recipe": {"name": recipe.name, **recipe.table},
            "source": hash_files(source.paths, checking),
        }
        if solver is not None:
            length = min(calibration.length, source.config.max_position_embeddings)
            tokenizer = Tokenizer.load(folder)
            tokens = calibration_tokens(tokenizer, calibration.text, calibration.rows, length)
            about["calibration"] = hashlib.sha256(as_bytes(tokens)).hexdigest()
        with Output(out, plan, about) as output:
            conversion = _Conversion(source, recipe, plan, output, device, converting)
            conversion.run_alone()
            if solver is not None:
                conversion.run_calibrated(tokens, solver)
            note = {"quant_method": "exl2", "recipe": recipe.name, "layers": recipe.table}
            config = {**source.fields, "quantization_config": note}
            items = {item.name: output.done[item.name] for item in plan.items}
            output.finish(config, {**about, "items": items}, copies)


def _copies(folder: Path) -> list[Path]:
    if not (folder / "tokenizer.json").is_file():
        raise CheckpointError(
            f"{folder} lacks tokenizer.json: download the checkpoint with all its files."
        )
    return [path for name in _COPIED if (path := folder / name).is_file()]


class _Conversion:
    """One run over all items that are not yet written."""

    def __init__(
        self,
        source: Source,
        recipe: Recipe,
        plan: Plan,
        output: Output,
        device: torch.device,
        report: Report,
    ) -> None:
        self._source = source
        self._recipe = recipe
        self._plan = plan
        self._output = output
        self._device = device
        self._report = report
        self._done = sum(item.num_weights for item in plan.items if item.name in output.done)

    def run_alone(self) -> None:
        """Convert and write what needs nothing but its own weights, several items at a time."""
        self._report(self._done, self._plan.num_weights)
        items = [
            item
            for item in self._plan.items
            if item.name not in self._output.done and not self._is_calibrated(item)
        ]
        for item in in_parallel(self._convert, items):
            self._count(item)

    def run_calibrated(self, tokens: Tensor, solver: Solver) -> None:
        """Convert and write the matrices of the layers, one layer after the other."""
        item_of = {item.name: item for item in self._plan.items}

        inexact: dict[str, int] = {}

        def plain(linear: Linear, weight: Weight) -> dict[str, Tensor]:
            kind = item_of[linear.name].kind
            assert kind is not None, "items of a matrix have one"
            how = self._recipe.of(kind)
            there = to_device(weight, self._device)
            tensors, inexact[linear.name] = apply(linear.name, how, there)
            return tensors

        def finished(linear: Linear) -> dict[str, Tensor] | None:
            tensors = self._output.read(item_of[linear.name])
            return tensors and {name.rsplit(".", 1)[1]: part for name, part in tensors.items()}

        for linear, parts in calibrate(
            self._source, self._recipe, tokens, self._device, solver, plain, finished
        ):
            item = item_of[linear.name]
            weight = to_device(self._source.matrix(linear), self._device)
            self._write(item, linear, weight, parts, inexact.get(linear.name, 0))
            self._count(item)

    def _is_calibrated(self, item: Item) -> bool:
        return self._recipe.is_calibrated and item.kind in ("attention", "gate_up", "down")

    def _count(self, item: Item) -> None:
        self._done += item.num_weights
        self._report(self._done, self._plan.num_weights)

    def _convert(self, item: Item) -> Item:
        if item.linear is None or item.kind is None:
            self._output.write(item, self._plain(item), {})
            return item
        weight = to_device(self._source.matrix(item.linear), self._device)
        tensors, inexact = apply(item.name, self._recipe.of(item.kind), weight)
        self._write(item, item.linear, weight, tensors, inexact)
        return item

    def _plain(self, item: Item) -> dict[str, Tensor]:
        """What stays fp16 in any recipe."""
        tensors = {
            vector.name: to_half(vector.name, self._source.vector(vector))
            for vector in item.vectors
        }
        for router in item.routers:
            weight = self._source.matrix(router)
            assert isinstance(weight, Tensor), "only experts are MXFP4"
            name = f"{router.name}.weight"
            tensors[name] = to_half(name, weight.t())
        return tensors

    def _write(
        self, item: Item, linear: Linear, weight: Weight, tensors: dict[str, Tensor], inexact: int
    ) -> None:
        # Rounded, because the last digits hang on the order in which a device sums.
        note: dict[str, Any] = {"error": float(f"{relative_error(tensors, weight):.4g}")}
        if item.kind is not None and self._recipe.of(item.kind).method == "exact":
            note |= {"blocks": item.num_weights // BLOCK, "inexact_blocks": inexact}
        named = {f"{linear.name}.{part}": tensor for part, tensor in tensors.items()}
        self._output.write(item, named, note)
