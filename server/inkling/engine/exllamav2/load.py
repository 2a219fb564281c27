"""A checkpoint folder as a model whose EXL2 matrices exllamav2 multiplies."""

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from inkling.engine.exl2.dequant import dequantize, unpack
from inkling.engine.exl2.format import Exl2Matrix
from inkling.engine.exl2.names import LayerNames, Linear, Vector, model_names
from inkling.engine.exl2.quantize import pack_steps
from inkling.engine.exl2.reading import read_matrix, read_vector
from inkling.engine.exl2.tensors import TensorFiles, is_finite
from inkling.engine.exllamav2.kernels import Kernels
from inkling.engine.exllamav2.matrix import HalfMatrix, QuantizedMatrix, SideBySide, is_sorted
from inkling.engine.gpu.upload import Progress, Uploads
from inkling.engine.model.config import GptOssConfig
from inkling.engine.model.layer import gates_first
from inkling.engine.model.reference import GptOss
from inkling.engine.model.weights import LayerWeights, Matrix, Weights
from inkling.engine.mxfp4 import Mxfp4Matrix
from inkling.errors import CheckpointError


def load_exllamav2(
    folder: Path, device: torch.device, kernels: Kernels, progress: Progress | None = None
) -> GptOss[Matrix]:
    """Load `config.json` and the safetensors files of `folder` onto `device`.

    EXL2 matrices stay quantized, plain ones and the embedding are fp16, the router and all vectors
    fp32, as are the residual stream and a KV cache of 16 bits. `progress` is called with done and all bytes of
    the files, at last with both the same.

    Raises CheckpointError as `load_checkpoint` does, and for matrices that exllamav2 cannot multiply
    and plain ones beyond fp16.
    """
    with TensorFiles(folder) as files:
        config = GptOssConfig.from_json(folder / "config.json")
        with Uploads(device, files.nbytes, progress) as uploads:
            weights = _Loader(files, uploads, device, kernels).weights(config)
    if device.type == "cuda":
        torch.cuda.empty_cache()  # what dequantizing the embedding took
    if progress is not None:
        progress(files.nbytes, files.nbytes)
    return GptOss(config, weights)


class _Loader:
    """Reads the tensors of one model and puts them on `device`."""

    def __init__(
        self, files: TensorFiles, uploads: Uploads, device: torch.device, kernels: Kernels
    ) -> None:
        self._files = files
        self._uploads = uploads
        self._device = device
        self._kernels = kernels

    def weights(self, config: GptOssConfig) -> Weights[Matrix]:
        """All tensors of the model."""
        names = model_names(config)
        # First of all, while there is memory to spare: it takes most to convert.
        embedding = _half(names.embedding, self._dense(names.embedding)).t().contiguous()
        return Weights(
            embedding=embedding,
            layers=tuple(self._layer(layer) for layer in names.layers),
            norm=self._vector(names.norm),
            head=HalfMatrix(embedding.t()) if names.head is None else self._matrix(names.head),
        )

    def _layer(self, names: LayerNames) -> LayerWeights[Matrix]:
        return LayerWeights(
            input_norm=self._vector(names.input_norm),
            qkv=SideBySide([self._matrix(part) for part in names.qkv]),
            qkv_bias=torch.cat([self._vector(part.bias) for part in names.qkv]),
            sinks=self._vector(names.sinks),
            attention_out=self._matrix(names.attention_out),
            attention_out_bias=self._vector(names.attention_out.bias),
            post_attention_norm=self._vector(names.post_attention_norm),
            router=self._dense(names.router).float(),
            router_bias=self._vector(names.router.bias),
            gate_up=tuple(self._matrix(expert, has_gates=True) for expert in names.gate_up),
            gate_up_bias=tuple(gates_first(self._vector(one.bias)) for one in names.gate_up),
            down=tuple(self._matrix(expert) for expert in names.down),
            down_bias=tuple(self._vector(expert.bias) for expert in names.down),
        )

    def _vector(self, vector: Vector) -> Tensor:
        return read_vector(self._files, vector).to(self._device, torch.float32)

    def _dense(self, linear: Linear) -> Tensor:
        """`[in, out]`, in fp16 or as it is stored."""
        matrix = self._upload(linear)
        return dequantize(matrix) if isinstance(matrix, Exl2Matrix) else matrix.t()

    def _matrix(self, linear: Linear, *, has_gates: bool = False) -> QuantizedMatrix | HalfMatrix:
        """What multiplies with a matrix; with all its gate columns first if it `has_gates`."""
        matrix = self._upload(linear)
        if isinstance(matrix, Exl2Matrix):
            if not is_sorted(matrix):
                raise CheckpointError(
                    f"The groups of {linear.name} are not in falling order of bits, as exllamav2 needs"
                    ' them: set engine.backend to "fused".'
                )
            return QuantizedMatrix(self._kernels, _gates_first(matrix) if has_gates else matrix)
        weight = _half(linear, matrix.t())
        return HalfMatrix(gates_first(weight) if has_gates else weight)

    def _upload(self, linear: Linear) -> Exl2Matrix | Tensor:
        """The matrix on the device as EXL2, or plain `[out, in]` as stored; nobody else's."""
        matrix = read_matrix(self._files, linear)
        if isinstance(matrix, Mxfp4Matrix):
            raise CheckpointError(
                f"The matrix {linear.name} is MXFP4, which exllamav2 does not know: set engine.backend to"
                ' "fused", or take a recipe that has all experts as EXL2.'
            )
        if isinstance(matrix, Tensor):
            [weight] = self._uploads.tensors([matrix])
            return weight
        [sent] = self._uploads.matrices([matrix])
        assert isinstance(sent, Exl2Matrix)
        return sent


def _half(linear: Linear, weight: Tensor) -> Tensor:
    half = weight.half()
    if not is_finite(half):
        raise CheckpointError(
            f"The matrix {linear.name} holds values beyond fp16 (65504), in which it would be kept on a"
            " GPU: convert the checkpoint again with this matrix as EXL2."
        )
    return half


def _gates_first(matrix: Exl2Matrix) -> Exl2Matrix:
    """The matrix with its columns reordered as `layer.gates_first` does."""
    steps = unpack(matrix.q_scale.t().contiguous(), 4).t() + 1
    return replace(
        matrix,
        q_weight=gates_first(matrix.q_weight),
        q_scale=pack_steps(gates_first(steps)),
    )
