"""gpt-oss as published on Hugging Face, one matrix at a time.

The tensors are those of transformers' GptOssForCausalLM. All experts of a layer are stacked, in MXFP4
or (what fine-tuning leaves) plain:

    mlp.experts.gate_up_proj_blocks  uint8 [experts, 2 * inner, hidden / 32, 16], _scales without the 16
    mlp.experts.gate_up_proj         bf16  [experts, hidden, 2 * inner]
    mlp.experts.gate_up_proj_bias    bf16  [experts, 2 * inner]

and `down_proj` likewise. Columns of gate and up alternate; all other matrices are `[out, in]`.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor

from inkling.engine import mxfp4
from inkling.engine.exl2.names import Linear, ModelNames, Vector, model_names
from inkling.engine.exl2.tensors import PLAIN_TYPES, TensorFiles, is_finite
from inkling.engine.model.config import GptOssConfig
from inkling.engine.mxfp4 import BLOCK, Mxfp4Matrix
from inkling.errors import CheckpointError

_GIVE = (
    "give the folder of gpt-oss-20b as published on Hugging Face (openai/gpt-oss-20b), or of a"
    " fine-tune that transformers saved"
)
# A tensor that every checkpoint in OpenAI's own layout has.
_ORIGINAL = "block.0.attn.qkv.weight"


class Source:
    """An open published checkpoint. Use as a context manager.

    All tensors lie on the CPU, mapped from the files: nothing is read before it is looked at, and
    nothing is copied. Any number of threads may read at once, since no file handle is used for it.
    """

    config: GptOssConfig
    fields: Mapping[str, Any]  # config.json as parsed
    names: ModelNames
    paths: tuple[Path, ...]  # the safetensors files
    nbytes: int  # of all of them

    def __init__(self, folder: Path) -> None:
        """Open `folder` and check all that config.json and the files' headers tell.

        Raises CheckpointError, naming the file or tensor, for what is no published gpt-oss (another
        architecture, format or quantization), for files missing or truncated, and for tensors missing
        or of a wrong shape or type.
        """
        self._folder = folder
        _check_folder(folder)
        with TensorFiles(folder) as files:
            if _ORIGINAL in files:
                raise CheckpointError(f"{folder} is in OpenAI's original layout: {_GIVE}.")
            self.config = GptOssConfig.from_json(folder / "config.json")
            self.fields = json.loads((folder / "config.json").read_text(encoding="utf-8"))
            self.names = model_names(self.config)
            self._check_is_published(files)
            self.paths, self.nbytes = files.paths, files.nbytes
            self._tensors = dict(_Headers(folder, files).tensors(self.names))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._tensors.clear()  # the last hold on the files, but for tensors that were given out

    def matrix(self, linear: Linear) -> Mxfp4Matrix | Tensor:
        """A matrix in MXFP4, or a plain one `[in, out]` in its own type: fp16, bf16 or fp32.

        A plain one may be a transposed view. Raises CheckpointError for values or scales that are not
        finite.
        """
        name = linear.name
        if f"{name}.blocks" in self._tensors:
            blocks, scales = self._tensors[f"{name}.blocks"], self._tensors[f"{name}.scales"]
            return mxfp4.parse(name, blocks, scales, linear.in_features, linear.out_features)
        if f"{name}.weight" in self._tensors:
            return self._finite(f"{name}.weight").t()
        return self._finite(name)

    def vector(self, vector: Vector) -> Tensor:
        """The tensor `[size]` in its own type: fp16, bf16 or fp32.

        Raises CheckpointError for values that are not finite.
        """
        return self._finite(vector.name)

    def _check_is_published(self, files: TensorFiles) -> None:
        """Refuse what somebody has quantized since."""
        note = self.fields.get("quantization_config")
        method = note.get("quant_method") if isinstance(note, dict) else note
        layers = self.names.layers
        linears = [one for layer in layers for one in (*layer.qkv, *layer.gate_up, *layer.down)]
        if method == "exl2" or any(f"{linear.name}.q_weight" in files for linear in linears):
            raise CheckpointError(f"{self._folder} is EXL2 already: run it as it is, or {_GIVE}.")
        if method not in (None, "mxfp4"):
            raise CheckpointError(
                f"{self._folder} is quantized with {method}, but only MXFP4 and plain weights can be"
                f" converted: {_GIVE}."
            )

    def _finite(self, name: str) -> Tensor:
        tensor = self._tensors[name]
        if not is_finite(tensor):
            raise CheckpointError(
                f"The tensor {name} in {self._folder} holds NaN or infinity: copy or download the"
                " checkpoint again."
            )
        return tensor


def _check_folder(folder: Path) -> None:
    """Refuse what holds no safetensors file, by what it is instead."""
    has_weights = any(folder.glob("*.safetensors"))
    if not has_weights and (folder.suffix == ".gguf" or any(folder.glob("*.gguf"))):
        raise CheckpointError(f"{folder} is GGUF, which cannot be converted: {_GIVE}.")
    if not folder.is_dir():
        raise CheckpointError(f"There is no folder {folder}: {_GIVE}.")
    if not has_weights:
        raise CheckpointError(f"There is no .safetensors file in {folder}: {_GIVE}.")


class _Headers:
    """The tensors of a checkpoint, checked as far as that takes no look at their values."""

    def __init__(self, folder: Path, files: TensorFiles) -> None:
        self._folder = folder
        self._files = files

    def tensors(self, names: ModelNames) -> Iterator[tuple[str, Tensor]]:
        """All tensors of the model, by names as if each expert had its own.

        A Vector's name, or a Linear's with `.weight` (`[out, in]`), with `.blocks` and `.scales`, or
        (a plain expert, `[in, out]`) as it is.
        """
        yield self._weight(names.embedding)
        yield self._vector(names.norm)
        if names.head is not None:
            yield self._weight(names.head)
        for layer in names.layers:
            for vector in (layer.input_norm, layer.sinks, layer.post_attention_norm):
                yield self._vector(vector)
            for linear in (*layer.qkv, layer.attention_out, layer.router):
                yield self._weight(linear)
                yield self._vector(linear.bias)
            yield from self._experts(layer.gate_up)
            yield from self._experts(layer.down)

    def _vector(self, vector: Vector) -> tuple[str, Tensor]:
        return vector.name, self._take(vector.name, vector.size)

    def _weight(self, linear: Linear) -> tuple[str, Tensor]:
        name = f"{linear.name}.weight"
        return name, self._take(name, linear.out_features, linear.in_features)

    def _experts(self, experts: Sequence[Linear]) -> Iterator[tuple[str, Tensor]]:
        first, count = experts[0], len(experts)
        rows, columns = first.in_features, first.out_features
        name = first.name.replace(".experts.0.", ".experts.")
        stacks = {".bias": self._take(f"{name}_bias", count, columns)}
        blocks, scales = f"{name}_blocks", f"{name}_scales"
        has_blocks = blocks in self._files
        if scales in self._files or (has_blocks and self._files.read(blocks).dtype == torch.uint8):
            shape = count, columns, rows // BLOCK
            stacks[".blocks"] = self._take(blocks, *shape, BLOCK // 2, is_plain=False)
            stacks[".scales"] = self._take(scales, *shape, is_plain=False)
        else:
            # Loaded from MXFP4 as bf16, trained and saved, weights keep the name of the blocks
            # (transformers 5.23).
            stacks[""] = self._take(blocks if has_blocks else name, count, rows, columns)
        for part, stack in stacks.items():
            for expert, tensor in zip(experts, stack, strict=True):
                yield f"{expert.name}{part}", tensor

    def _take(self, name: str, *shape: int, is_plain: bool = True) -> Tensor:
        """One tensor as stored; `is_plain`: floating-point, otherwise bytes."""
        if name not in self._files:
            raise CheckpointError(
                f"{self._folder} lacks the tensor {name}: copy or download the checkpoint again."
            )
        tensor = self._files.read(name)
        types = PLAIN_TYPES if is_plain else (torch.uint8,)
        if tensor.dtype not in types or tuple(tensor.shape) != shape:
            raise CheckpointError(
                f"The tensor {name} in {self._folder} should be"
                f" {'floating-point' if is_plain else 'uint8'} {list(shape)} but is"
                f" {str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}: take the"
                " config.json that belongs to this checkpoint."
            )
        return tensor
