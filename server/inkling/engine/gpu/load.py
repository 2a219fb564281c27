"""A checkpoint folder as weights in video memory, one matrix at a time."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from inkling.engine import mxfp4
from inkling.engine.exl2.dequant import dequantize
from inkling.engine.exl2.format import Exl2Matrix
from inkling.engine.exl2.names import LayerNames, Linear, Vector, model_names
from inkling.engine.exl2.reading import read_matrix, read_vector
from inkling.engine.exl2.tensors import TensorFiles
from inkling.engine.gpu.codes import MXFP4
from inkling.engine.gpu.layout import (
    Matrix,
    Plain,
    Quantized,
    can_pack,
    empty_stack,
    pack,
    put,
    stored_bits,
)
from inkling.engine.gpu.upload import Progress, Uploads
from inkling.engine.gpu.weights import GpuLayer, GpuWeights
from inkling.engine.model.config import GptOssConfig
from inkling.engine.mxfp4 import Mxfp4Matrix
from inkling.errors import CheckpointError

# Columns dequantized at a time: bounds what that needs beside the result.
_COLUMNS_AT_ONCE = 8192


def load_gpu_weights(
    folder: Path, device: torch.device, progress: Progress | None = None
) -> tuple[GptOssConfig, GpuWeights]:
    """Load `config.json` and the safetensors files of `folder` onto `device`.

    EXL2 and MXFP4 matrices stay quantized. Experts of a layer, and its q, k and v, are stored at the
    widest width among them, and in fp16 where not all of them are of one format. Largest matrices come
    first, so that what converting takes never adds more than about 0.6 GiB to the result; it also takes
    128 MiB of page-locked memory. `progress` is called with done and all bytes of the files, at last with both
    the same.

    Raises CheckpointError as `load_checkpoint` does, for q, k and v whose rows are in different
    orders, and for weights beyond fp16 where they are kept so.
    """
    with TensorFiles(folder) as files:
        config = GptOssConfig.from_json(folder / "config.json")
        with Uploads(device, files.nbytes, progress) as uploads:
            weights = _Loader(files, uploads, device).weights(config)
    if device.type == "cuda":
        torch.cuda.empty_cache()  # what packing took: the KV cache may need it in one piece
    if progress is not None:
        progress(files.nbytes, files.nbytes)
    return config, weights


def common_bits(matrices: Sequence[Quantized | Tensor]) -> int | None:
    """The width, or MXFP4, that matrices stored as one have in video memory; None: fp16."""
    exl2 = [matrix for matrix in matrices if isinstance(matrix, Exl2Matrix)]
    if len(exl2) == len(matrices):
        return max(map(stored_bits, exl2))
    if all(isinstance(matrix, Mxfp4Matrix) and can_pack(matrix) for matrix in matrices):
        return MXFP4
    return None


def is_permuted(matrices: Sequence[Quantized | Tensor]) -> bool:
    """Whether any has its rows in another order than the input features."""
    return any(_order(matrix) is not None for matrix in matrices)


class _Loader:
    """Reads the tensors of one model and puts them on `device`."""

    def __init__(self, files: TensorFiles, uploads: Uploads, device: torch.device) -> None:
        self._files = files
        self._uploads = uploads
        self._device = device

    def weights(self, config: GptOssConfig) -> GpuWeights:
        """All tensors of the model."""
        names = model_names(config)
        # First of all, while there is memory to spare: they take most to convert.
        embedding = self._embedding(names.embedding)
        return GpuWeights(
            embedding=embedding,
            head=Plain(embedding.t().contiguous())
            if names.head is None
            else self._side_by_side([names.head]),
            layers=tuple(self._layer(layer) for layer in names.layers),
            norm=self._vector(names.norm),
        )

    def _layer(self, names: LayerNames) -> GpuLayer:
        return GpuLayer(
            input_norm=self._vector(names.input_norm),
            qkv=self._side_by_side(names.qkv),
            qkv_bias=self._vector(*(part.bias for part in names.qkv)),
            sinks=self._vector(names.sinks),
            attention_out=self._side_by_side([names.attention_out]),
            attention_out_bias=self._vector(names.attention_out.bias),
            post_attention_norm=self._vector(names.post_attention_norm),
            router=self._router(names.router),
            router_bias=self._vector(names.router.bias),
            gate_up=self._stacked(names.gate_up),
            gate_up_bias=self._biases(names.gate_up),
            down=self._stacked(names.down),
            down_bias=self._biases(names.down),
        )

    def _vector(self, *vectors: Vector) -> Tensor:
        """fp32, one after another."""
        parts = [read_vector(self._files, vector).float() for vector in vectors]
        return torch.cat(parts).to(self._device)

    def _biases(self, linears: Sequence[Linear]) -> Tensor:
        """fp32 `[experts, out]`."""
        return self._vector(*(linear.bias for linear in linears)).view(len(linears), -1)

    def _router(self, linear: Linear) -> Tensor:
        """fp32 `[experts, hidden]`."""
        matrix = read_matrix(self._files, linear)
        weight = matrix if isinstance(matrix, Tensor) else _dequantize(matrix).t()
        return weight.contiguous().to(self._device, torch.float32)

    def _embedding(self, linear: Linear) -> Tensor:
        """fp16 `[vocab, hidden]`."""
        matrix = read_matrix(self._files, linear)
        shape = linear.out_features, linear.in_features
        embedding = torch.empty(shape, dtype=torch.float16, device=self._device)
        self._fill([linear], [matrix], [embedding.t()])
        return embedding

    def _side_by_side(self, linears: Sequence[Linear]) -> Matrix:
        """Matrices of one input as one with all their columns."""
        matrices = [read_matrix(self._files, linear) for linear in linears]
        bits = common_bits(matrices)
        if bits is None:
            widths = [linear.out_features for linear in linears]
            shape = linears[0].in_features, sum(widths)
            weight = torch.empty(shape, dtype=torch.float16, device=self._device)
            self._fill(linears, matrices, torch.split(weight, widths, 1))
            return Plain(weight)
        _check_one_order(linears, matrices)
        quantized = [matrix for matrix in matrices if not isinstance(matrix, Tensor)]
        return pack(list(self._uploads.matrices(quantized)), bits)

    def _stacked(self, linears: Sequence[Linear]) -> Matrix:
        """One matrix of each expert as one `[experts, in, out]`."""
        matrices = [read_matrix(self._files, linear) for linear in linears]
        bits = common_bits(matrices)
        shape = linears[0].in_features, linears[0].out_features
        if bits is None:
            weight = torch.empty((len(linears), *shape), dtype=torch.float16, device=self._device)
            self._fill(linears, matrices, weight)
            return Plain(weight)
        # Allocated whole: to stack packed matrices would take their memory twice.
        stack = empty_stack(
            len(linears), bits, shape, is_permuted=is_permuted(matrices), device=self._device
        )
        quantized = [matrix for matrix in matrices if not isinstance(matrix, Tensor)]
        for index, matrix in enumerate(self._uploads.matrices(quantized)):
            put(stack, index, pack([matrix], bits))
        return stack

    def _fill(
        self,
        linears: Sequence[Linear],
        matrices: Sequence[Quantized | Tensor],
        places: Iterable[Tensor],
    ) -> None:
        """Write matrices into fp16 places `[in, out]`."""
        for linear, matrix, place in zip(linears, matrices, places, strict=True):
            if isinstance(matrix, Tensor):
                for weight in self._uploads.tensors([matrix]):
                    place.copy_(weight.t())
            else:
                for sent in self._uploads.matrices([matrix]):
                    _dequantize_into(place, sent)
            # Only these cannot have numbers that fp16 has not.
            is_fp16 = isinstance(matrix, Exl2Matrix) or (
                isinstance(matrix, Tensor) and matrix.dtype == torch.float16
            )
            if not is_fp16 and not all(end.isfinite() for end in torch.aminmax(place)):
                raise CheckpointError(
                    f"The matrix {linear.name} holds values beyond fp16 (65504), in which it would be"
                    " kept on a GPU: convert the checkpoint again with this matrix as EXL2."
                )


def _dequantize(matrix: Quantized) -> Tensor:
    """`[in, out]`: fp16 of EXL2, fp32 of MXFP4."""
    return dequantize(matrix) if isinstance(matrix, Exl2Matrix) else mxfp4.dequantize(matrix)


def _dequantize_into(place: Tensor, matrix: Quantized) -> None:
    for start in range(0, matrix.out_features, _COLUMNS_AT_ONCE):
        stop = min(start + _COLUMNS_AT_ONCE, matrix.out_features)
        place[:, start:stop] = _dequantize(_columns(matrix, start, stop))


def _columns(matrix: Quantized, start: int, stop: int) -> Quantized:
    if isinstance(matrix, Mxfp4Matrix):
        return Mxfp4Matrix(matrix.blocks[start:stop], matrix.scales[start:stop])
    return replace(
        matrix,
        q_weight=matrix.q_weight[:, start:stop],
        q_scale=matrix.q_scale[:, start // 8 : stop // 8],
        out_features=stop - start,
    )


def _order(matrix: Quantized | Tensor) -> Tensor | None:
    return matrix.q_invperm if isinstance(matrix, Exl2Matrix) else None


def _check_one_order(linears: Sequence[Linear], matrices: Sequence[Quantized | Tensor]) -> None:
    first = _order(matrices[0])
    for linear, other in zip(linears, map(_order, matrices), strict=True):
        is_same = other is first if first is None or other is None else torch.equal(first, other)
        if not is_same:
            raise CheckpointError(
                f"The rows of {linear.name} are in another order than those of {linears[0].name}"
                " (q_invperm), which a GPU multiplies as one matrix: convert the checkpoint again"
                " with one order for q, k and v."
            )
