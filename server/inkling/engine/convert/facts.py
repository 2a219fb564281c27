"""What a converted checkpoint holds, matrix by matrix, and what it takes of a GPU."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from inkling.engine.convert.output import REPORT
from inkling.engine.convert.recipe import Kind
from inkling.engine.exl2.format import Exl2Matrix
from inkling.engine.exl2.names import Linear, ModelNames, model_names
from inkling.engine.exl2.reading import read_matrix
from inkling.engine.exl2.tensors import TensorFiles
from inkling.engine.model.config import GptOssConfig
from inkling.engine.mxfp4 import Mxfp4Matrix
from inkling.errors import CheckpointError

_PLAIN_FORMS = {torch.float16: "fp16", torch.bfloat16: "bf16", torch.float32: "fp32"}
# How published checkpoints call their experts, all of a layer in one tensor.
_STACKED = "model.layers.0.mlp.experts.gate_up_proj"


@dataclass(frozen=True)
class Fact:
    """One matrix. `form`: "EXL2 5-bit g32", "MXFP4" or "fp16"; `error` (relative, of the weights) and
    `inexact_blocks` of `blocks` are what converting noted, None where it noted nothing."""

    name: str
    kind: Kind
    form: str
    num_weights: int
    nbytes: int
    error: float | None
    blocks: int | None
    inexact_blocks: int | None


def matrices(names: ModelNames) -> Iterator[tuple[Kind, Linear]]:
    """All matrices that a recipe speaks of, in the model's order."""
    yield "embedding", names.embedding
    for layer in names.layers:
        for linear in (*layer.qkv, layer.attention_out):
            yield "attention", linear
        for linear in layer.gate_up:
            yield "gate_up", linear
        for linear in layer.down:
            yield "down", linear
    if names.head is not None:
        yield "head", names.head


def read_facts(folder: Path) -> list[Fact]:
    """One of each matrix of the checkpoint in `folder`.

    Raises CheckpointError as `load_checkpoint` does.
    """
    with TensorFiles(folder) as files:
        names = model_names(GptOssConfig.from_json(folder / "config.json"))
        if any(f"{_STACKED}{end}" in files for end in ("", "_blocks")):
            raise CheckpointError(
                f"{folder} is a checkpoint as published, of which there is nothing to tell yet: convert"
                " it first (inkling convert)."
            )
        notes = read_report(folder).get("items", {})
        return [
            _fact(files, kind, linear, notes.get(linear.name, {}))
            for kind, linear in matrices(names)
        ]


def read_report(folder: Path) -> dict[str, Any]:
    """What converting wrote beside the weights; empty for a checkpoint that others made.

    Raises CheckpointError when it is no JSON object.
    """
    path = folder / REPORT
    if not path.is_file():
        return {}
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read ({error}): convert again.") from error
    parts = ("source", "recipe", "files", "items")
    if not isinstance(report, dict) or not all(isinstance(report.get(p), dict) for p in parts):
        raise CheckpointError(f"{path} is not what a conversion wrote: convert again.")
    return report


def _fact(files: TensorFiles, kind: Kind, linear: Linear, note: dict[str, Any]) -> Fact:
    matrix = read_matrix(files, linear)
    if isinstance(matrix, Exl2Matrix):
        parts = (matrix.q_weight, matrix.q_scale, matrix.q_scale_max, matrix.q_invperm)
        nbytes = sum(part.nbytes for part in parts if part is not None) + 4 * len(matrix.groups)
        form = _exl2_form(matrix)
    elif isinstance(matrix, Mxfp4Matrix):
        nbytes, form = matrix.blocks.nbytes + matrix.scales.nbytes, "MXFP4"
    else:
        nbytes, form = matrix.nbytes, _PLAIN_FORMS[matrix.dtype]
    return Fact(
        name=linear.name,
        kind=kind,
        form=form,
        num_weights=linear.in_features * linear.out_features,
        nbytes=nbytes,
        error=note.get("error"),
        blocks=note.get("blocks"),
        inexact_blocks=note.get("inexact_blocks"),
    )


def _exl2_form(matrix: Exl2Matrix) -> str:
    """Its widths by falling share of rows, and its group size: the first group's, the last may be
    shorter."""
    rows: dict[int, int] = {}
    for group in matrix.groups:
        rows[group.bits] = rows.get(group.bits, 0) + group.num_rows
    widths = "/".join(map(str, sorted(rows, key=lambda bits: -rows[bits])))
    return f"EXL2 {widths}-bit g{matrix.groups[0].num_rows}"
