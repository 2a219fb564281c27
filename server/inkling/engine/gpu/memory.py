"""What a model takes of video memory, told before anything of it is allocated."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from inkling.engine.exl2.names import LayerNames, Linear, ModelNames, model_names
from inkling.engine.exl2.reading import read_matrix
from inkling.engine.exl2.tensors import TensorFiles
from inkling.engine.gpu.layout import packed_nbytes
from inkling.engine.gpu.load import common_bits, is_permuted
from inkling.engine.model.config import GptOssConfig
from inkling.engine.model.paged_kv import KVBits
from inkling.errors import TooLarge

GIB = 1 << 30
# GiB that the weights of gpt-oss-20b take in our layout, largest first.
RECIPES = {"exact": 16.2, "balanced": 13.7, "native": 11.5, "small": 9.9}
# CUDA's context, compiled kernels, cuBLAS, and what an allocator cannot give again.
_RUNTIME_BYTES = int(0.6 * GIB)
_DECODE_ROWS = 8
_PREFILL_ROWS = 512
# As few tokens of KV cache as the setting allows, and the steps in which we talk of them.
_KV_STEP = 1024


@dataclass(frozen=True)
class Need:
    """Bytes of video memory one model takes. `kv_in_8_bits`: what `kv` is or would be in 8 bits."""

    weights: int
    kv: int
    kv_per_token: int
    kv_in_8_bits: int
    workspace: int

    @property
    def total(self) -> int:
        return self.weights + self.kv + self.workspace


def needed(folder: Path, kv_tokens: int, page_len: int, kv_bits: KVBits = 16) -> Need:
    """What the checkpoint in `folder` takes with a KV cache of `kv_tokens` in pages of `page_len`.

    Looks at all of the checkpoint but the codes of its quantized matrices, and raises CheckpointError
    as `load_checkpoint` does.
    """
    with TensorFiles(folder) as files:
        config = GptOssConfig.from_json(folder / "config.json")
        weights = _Weights(files).nbytes(model_names(config))
    positions = -(-kv_tokens // page_len) * page_len
    kv_per_token = kv_nbytes(config, kv_bits)
    return Need(
        weights=weights,
        kv=positions * kv_per_token,
        kv_per_token=kv_per_token,
        kv_in_8_bits=positions * kv_nbytes(config, 8),
        workspace=workspace_nbytes(config),
    )


def kv_nbytes(config: GptOssConfig, bits: KVBits) -> int:
    """What a position takes in the KV cache: fp16, or codes of 8 bits with an fp16 scale a row."""
    row = 2 * config.head_dim if bits == 16 else config.head_dim + 2
    return 2 * config.num_layers * config.num_kv_heads * row


def workspace_nbytes(config: GptOssConfig) -> int:
    """What a pass takes beside weights and KV: fp32 logits of 8 rows, activations of a chunk of 512
    tokens (residual, its norm, q k v, attention, and the hidden and output rows of each chosen
    expert, all as if fp32), and 0.6 GiB for CUDA and compiled kernels. Loading takes no more.
    """
    hidden, inner = config.hidden_size, config.intermediate_size
    heads_width = config.num_heads * config.head_dim
    kv_width = config.num_kv_heads * config.head_dim
    of_experts = config.experts_per_token * (3 * inner + 2 * hidden)
    of_token = 4 * hidden + 2 * heads_width + 2 * kv_width + of_experts
    return _DECODE_ROWS * config.vocab_size * 4 + _PREFILL_ROWS * of_token * 4 + _RUNTIME_BYTES


def check_fits(need: Need, free_bytes: int, total_bytes: int) -> None:
    """Raise TooLarge if `need` is more than `free_bytes` of a GPU with `total_bytes`."""
    if need.total <= free_bytes:
        return
    raise TooLarge(
        f"The model needs {_gib(need.total)} of video memory (weights {_gib(need.weights)}, KV cache"
        f" {_gib(need.kv)}, workspace {_gib(need.workspace)}) but {_gib(free_bytes)} of"
        f" {_gib(total_bytes)} are free: {_cure(need, free_bytes, total_bytes)}."
    )


def _cure(need: Need, free_bytes: int, total_bytes: int) -> str:
    cures = []
    in_8_bits = need.weights + need.kv_in_8_bits + need.workspace
    if need.kv_in_8_bits < need.kv and in_8_bits <= free_bytes:
        cures.append("set engine.kv_bits to 8")
    left_for_kv = free_bytes - need.weights - need.workspace
    kv_tokens = left_for_kv // need.kv_per_token // _KV_STEP * _KV_STEP
    if kv_tokens >= _KV_STEP:
        cures.append(f"lower engine.kv_tokens (and engine.context_len, if set) to {kv_tokens}")
    if need.total <= total_bytes:
        cures.append("end other programs that use the GPU")
    for recipe, gib in RECIPES.items():
        weights = int(gib * GIB)
        if weights < need.weights and weights + need.kv + need.workspace <= free_bytes:
            cures.append(f'take gpt-oss-20b in the recipe "{recipe}" ({gib:.1f} GiB of weights)')
            break
    return ", or ".join(cures) or "unset engine.model to use the demo model"


def _gib(size: int) -> str:
    return f"{size / GIB:.1f} GiB"


class _Weights:
    """Sizes of the weights in `files` as `load` lays them out."""

    def __init__(self, files: TensorFiles) -> None:
        self._files = files

    def nbytes(self, names: ModelNames) -> int:
        """All weights of the model."""
        embedding = 2 * names.embedding.in_features * names.embedding.out_features
        head = embedding if names.head is None else self._one(names.head)
        return embedding + head + 4 * names.norm.size + sum(map(self._layer, names.layers))

    def _layer(self, names: LayerNames) -> int:
        matrices = (
            self._side_by_side(names.qkv)
            + self._one(names.attention_out)
            + self._stacked(names.gate_up)
            + self._stacked(names.down)
        )
        router = names.router.in_features * names.router.out_features
        biased = (*names.qkv, names.attention_out, names.router, *names.gate_up, *names.down)
        vectors = (names.input_norm, names.sinks, names.post_attention_norm)
        sizes = [vector.size for vector in (*vectors, *(linear.bias for linear in biased))]
        return matrices + 4 * (router + sum(sizes))

    def _one(self, linear: Linear) -> int:
        return self._side_by_side([linear])

    def _side_by_side(self, linears: Sequence[Linear]) -> int:
        return self._matrix(linears, num_permutations=1)

    def _stacked(self, linears: Sequence[Linear]) -> int:
        return self._matrix(linears, num_permutations=len(linears))

    def _matrix(self, linears: Sequence[Linear], num_permutations: int) -> int:
        """Matrices stored as one; where any is permuted, with `num_permutations`."""
        read = [read_matrix(self._files, linear) for linear in linears]
        bits = common_bits(read)
        if bits is None:
            return sum(2 * linear.in_features * linear.out_features for linear in linears)
        packed = sum(
            packed_nbytes(bits, linear.in_features, linear.out_features) for linear in linears
        )
        if not is_permuted(read):
            return packed
        return packed + 2 * linears[0].in_features * num_permutations
