"""A checkpoint folder as the reference model: matrices dequantized, plain tensors converted."""

from pathlib import Path

import torch
from torch import Tensor

from inkling.engine import mxfp4
from inkling.engine.exl2.dequant import dequantize
from inkling.engine.exl2.format import Exl2Matrix
from inkling.engine.exl2.names import LayerNames, Linear, Vector, model_names
from inkling.engine.exl2.reading import read_matrix, read_vector
from inkling.engine.exl2.tensors import TensorFiles
from inkling.engine.model.config import GptOssConfig
from inkling.engine.model.reference import GptOss
from inkling.engine.model.weights import LayerWeights, Weights
from inkling.engine.mxfp4 import Mxfp4Matrix


def load_checkpoint(
    folder: Path, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> GptOss:
    """Load `config.json` and the safetensors files of `folder` as the reference model.

    Any matrix may be EXL2, MXFP4 or plain (fp16, bf16, fp32). Takes `dtype` for every weight, so a
    model needs 4 bytes a parameter in fp32, however few bits it has on disk.

    Raises CheckpointError, naming the file or tensor, for all that cannot be used: files missing
    or truncated, another architecture, tensors missing, of a wrong shape or type, or not finite.
    """
    with TensorFiles(folder) as files:
        config = GptOssConfig.from_json(folder / "config.json")
        return GptOss(config, _Loader(files, torch.device(device), dtype).weights(config))


class _Loader:
    """Reads the tensors of one model as `dtype`, on `device`."""

    def __init__(self, files: TensorFiles, device: torch.device, dtype: torch.dtype) -> None:
        self._files = files
        self._device = device
        self._dtype = dtype

    def weights(self, config: GptOssConfig) -> Weights:
        """All tensors of the model."""
        names = model_names(config)
        embedding = self._matrix(names.embedding).t().contiguous()
        return Weights(
            embedding=embedding,
            layers=tuple(self._layer(layer) for layer in names.layers),
            norm=self._vector(names.norm),
            head=embedding.t() if names.head is None else self._matrix(names.head),
        )

    def _layer(self, names: LayerNames) -> LayerWeights:
        return LayerWeights(
            input_norm=self._vector(names.input_norm),
            qkv=torch.cat([self._matrix(part) for part in names.qkv], 1),
            qkv_bias=torch.cat([self._vector(part.bias) for part in names.qkv]),
            sinks=self._vector(names.sinks),
            attention_out=self._matrix(names.attention_out),
            attention_out_bias=self._vector(names.attention_out.bias),
            post_attention_norm=self._vector(names.post_attention_norm),
            router=self._matrix(names.router),
            router_bias=self._vector(names.router.bias),
            gate_up=tuple(_gates_first(self._matrix(expert)) for expert in names.gate_up),
            gate_up_bias=tuple(_gates_first(self._vector(one.bias)) for one in names.gate_up),
            down=tuple(self._matrix(expert) for expert in names.down),
            down_bias=tuple(self._vector(expert.bias) for expert in names.down),
        )

    def _vector(self, vector: Vector) -> Tensor:
        return read_vector(self._files, vector).to(self._device, self._dtype)

    def _matrix(self, linear: Linear) -> Tensor:
        """The matrix `[in, out]` of a linear layer."""
        matrix = read_matrix(self._files, linear)
        if isinstance(matrix, Exl2Matrix):
            return dequantize(matrix).to(self._device, self._dtype)
        if isinstance(matrix, Mxfp4Matrix):
            return mxfp4.dequantize(matrix).to(self._device, self._dtype)
        return matrix.to(self._device, self._dtype).t().contiguous()


def _gates_first(interleaved: Tensor) -> Tensor:
    """Columns gate, up, gate, up, ... as stored, to all gates and then all ups."""
    return torch.cat((interleaved[..., ::2], interleaved[..., 1::2]), -1)
