"""Random weights of true shapes, for benchmarks and for tests where no real ones are at hand."""

import json
import math
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from inkling.engine.exl2.names import LayerNames, Linear, ModelNames, Vector, model_names
from inkling.engine.exl2.tensors import INDEX
from inkling.engine.exl2.write import Kind, Recipe
from inkling.engine.gpu.codes import MXFP4
from inkling.engine.gpu.layout import Matrix, Plain, empty_stack, join_scales
from inkling.engine.gpu.weights import GpuLayer, GpuWeights
from inkling.engine.model.config import DEFAULT_ROPE, GptOssConfig

GPT_OSS_20B_FIELDS: Mapping[str, Any] = {
    "architectures": ["GptOssForCausalLM"],
    "model_type": "gpt_oss",
    "num_hidden_layers": 24,
    "hidden_size": 2880,
    "intermediate_size": 2880,
    "num_local_experts": 32,
    "num_experts_per_tok": 4,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "head_dim": 64,
    "sliding_window": 128,
    "vocab_size": 201_088,
    "max_position_embeddings": 131_072,
    "rms_norm_eps": 1e-5,
    "swiglu_limit": 7.0,
    "rope_parameters": DEFAULT_ROPE,
    "tie_word_embeddings": False,
}
GPT_OSS_20B = GptOssConfig.from_fields(GPT_OSS_20B_FIELDS, Path("gpt-oss-20b"))

# The widths and groups of the recipes of `inkling convert`, and more; MXFP4's group is always 32. The
# embedding stays fp16: a token reads one row of it.
RECIPES: Mapping[str, Recipe] = {
    "exact": {"attention": (8, 32), "gate_up": (6, 32), "down": (6, 32), "head": (8, 32)},
    "balanced": {"attention": (6, 32), "gate_up": (5, 32), "down": (5, 32), "head": (6, 32)},
    "native": {"attention": (6, 32), "gate_up": (MXFP4, 32), "down": (MXFP4, 32), "head": (6, 32)},
    "four": {"attention": (4, 32), "gate_up": (4, 32), "down": (4, 32), "head": (4, 32)},
    "small": {"attention": (5, 64), "gate_up": (3, 64), "down": (4, 64), "head": (6, 32)},
    "three": {"attention": (5, 64), "gate_up": (3, 64), "down": (3, 64), "head": (6, 32)},
}

_WEIGHT_STD = 0.03
_ROUTER_STD = 0.05
_BIAS_STD = 0.02
# MXFP4's exponents + 127 that give about _WEIGHT_STD: from the first to the one before the last.
_EXPONENTS = (119, 122)


def synthetic_weights(
    config: GptOssConfig, device: torch.device, bits: Mapping[Kind, int], seed: int
) -> GpuWeights:
    """Random weights on `device`: matrices of the kinds in `bits` packed, the others fp16.

    The same on every call on the same device. `bits` are widths of the layout, or MXFP4.
    """
    return _Model(_Random(device, seed), bits).weights(model_names(config))


def write_synthetic(
    folder: Path,
    fields: Mapping[str, Any],
    recipe: Recipe,
    tokenizer_folder: Path,
    device: torch.device,
    seed: int,
) -> None:
    """Write a random checkpoint of the `config.json` `fields` into `folder`, made if need be.

    The numbers are made on `device`. There is one safetensors file of each layer, one of the rest,
    and their index, which is written last; `tokenizer.json` comes from `tokenizer_folder`.
    """
    names = model_names(GptOssConfig.from_fields(fields, folder / "config.json"))
    disk = _Disk(_Random(device, seed), recipe)
    shards = [disk.ends(names), *(disk.layer(layer) for layer in names.layers)]
    folder.mkdir(parents=True, exist_ok=True)
    weight_map: dict[str, str] = {}
    total_size = 0
    for number, shard in enumerate(shards, 1):
        file = f"model-{number:05}-of-{len(shards):05}.safetensors"
        tensors = {name: tensor.cpu() for name, tensor in shard}
        save_file(tensors, folder / file)
        weight_map |= dict.fromkeys(tensors, file)
        total_size += sum(tensor.nbytes for tensor in tensors.values())
    shutil.copyfile(tokenizer_folder / "tokenizer.json", folder / "tokenizer.json")
    note = {"quant_method": "exl2", "recipe": {kind: list(how) for kind, how in recipe.items()}}
    config = json.dumps({**fields, "quantization_config": note}, indent=2)
    (folder / "config.json").write_text(config + "\n", encoding="utf-8")
    index = {"metadata": {"total_size": total_size}, "weight_map": weight_map}
    (folder / INDEX).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


class _Random:
    """The numbers of one model, on one device."""

    def __init__(self, device: torch.device, seed: int) -> None:
        self.device = device
        self._generator = torch.Generator(device).manual_seed(seed)

    def normal(self, *shape: int, std: float, dtype: torch.dtype = torch.float32) -> Tensor:
        out = torch.empty(shape, dtype=dtype, device=self.device)
        return out.normal_(0, std, generator=self._generator)

    def integers(self, out: Tensor, low: int, high: int) -> Tensor:
        """Fill `out` with integers from `low` to `high - 1`."""
        return out.random_(low, high, generator=self._generator)

    def words(self, out: Tensor) -> Tensor:
        """Fill int32 `out` with random bits: any are valid codes."""
        return self.integers(out, -(1 << 31), 1 << 31)

    def scale_max(self, *shape: int, bits: int, steps: range) -> Tensor:
        """fp32 that gives uniform codes and `steps` values of standard deviation _WEIGHT_STD."""
        of_codes = (1 << bits) / math.sqrt(12)
        of_steps = math.sqrt(sum((step + 1) ** 4 for step in steps) / len(steps))
        mean = _WEIGHT_STD / (of_codes * of_steps)
        out = torch.empty(shape, device=self.device)
        return out.uniform_(0.75 * mean, 1.25 * mean, generator=self._generator)

    def norm(self, vector: Vector) -> Tensor:
        return 1 + self.normal(vector.size, std=0.1)


class _Model:
    """Weights as `layout` has them."""

    def __init__(self, random: _Random, bits: Mapping[Kind, int]) -> None:
        self._random = random
        self._bits = bits

    def weights(self, names: ModelNames) -> GpuWeights:
        random = self._random
        vocab, hidden = names.embedding.out_features, names.embedding.in_features
        embedding = random.normal(vocab, hidden, std=1, dtype=torch.float16)
        return GpuWeights(
            embedding=embedding,
            layers=tuple(map(self._layer, names.layers)),
            norm=random.norm(names.norm),
            head=Plain(embedding.t().contiguous())
            if names.head is None
            else _only(self._stack("head", 1, hidden, vocab)),
        )

    def _layer(self, names: LayerNames) -> GpuLayer:
        random = self._random
        hidden, num_experts = names.router.in_features, names.router.out_features
        attended, inner = names.attention_out.in_features, names.down[0].in_features
        qkv_width = sum(part.out_features for part in names.qkv)
        return GpuLayer(
            input_norm=random.norm(names.input_norm),
            qkv=_only(self._stack("attention", 1, hidden, qkv_width)),
            qkv_bias=random.normal(qkv_width, std=_BIAS_STD),
            sinks=random.normal(names.sinks.size, std=1),
            attention_out=_only(self._stack("attention", 1, attended, hidden)),
            attention_out_bias=random.normal(hidden, std=_BIAS_STD),
            post_attention_norm=random.norm(names.post_attention_norm),
            router=random.normal(num_experts, hidden, std=_ROUTER_STD),
            router_bias=random.normal(num_experts, std=_BIAS_STD),
            gate_up=self._stack("gate_up", num_experts, hidden, 2 * inner),
            gate_up_bias=random.normal(num_experts, 2 * inner, std=_BIAS_STD),
            down=self._stack("down", num_experts, inner, hidden),
            down_bias=random.normal(num_experts, hidden, std=_BIAS_STD),
        )

    def _stack(self, kind: Kind, count: int, in_features: int, out_features: int) -> Matrix:
        """`count` matrices as one with a dimension in front."""
        random = self._random
        if kind not in self._bits:
            shape = (count, in_features, out_features)
            return Plain(random.normal(*shape, std=_WEIGHT_STD, dtype=torch.float16))
        bits = self._bits[kind]
        stack = empty_stack(
            count, bits, (in_features, out_features), is_permuted=False, device=random.device
        )
        random.words(stack.words)
        if stack.high is not None:
            random.words(stack.high)
        if bits == MXFP4:
            random.integers(stack.scales, *_EXPONENTS)
            return stack
        steps = range(5, 16)
        drawn = random.integers(torch.empty_like(stack.scales), steps.start, steps.stop)
        q_scale = (drawn[..., ::2] | (drawn[..., 1::2] << 4)).view(torch.int32)[..., 0]
        scale_max = random.scale_max(*q_scale.shape, bits=bits, steps=steps)
        return replace(stack, scales=join_scales(q_scale, scale_max))


class _Disk:
    """Tensors as a checkpoint has them, by name."""

    def __init__(self, random: _Random, recipe: Recipe) -> None:
        self._random = random
        self._recipe = recipe

    def ends(self, names: ModelNames) -> Iterator[tuple[str, Tensor]]:
        """What belongs to no layer."""
        vocab, hidden = names.embedding.out_features, names.embedding.in_features
        if "embedding" in self._recipe:
            yield from self._matrix(names.embedding, "embedding")
        else:
            embedding = self._random.normal(vocab, hidden, std=1, dtype=torch.float16)
            yield f"{names.embedding.name}.weight", embedding
        yield names.norm.name, self._random.norm(names.norm).half()
        if names.head is not None:
            yield from self._matrix(names.head, "head")

    def layer(self, names: LayerNames) -> Iterator[tuple[str, Tensor]]:
        for norm in (names.input_norm, names.post_attention_norm):
            yield norm.name, self._random.norm(norm).half()
        yield names.sinks.name, self._random.normal(names.sinks.size, std=1).half()
        router = names.router
        weight = self._random.normal(router.out_features, router.in_features, std=_ROUTER_STD)
        yield f"{router.name}.weight", weight.half()
        kinds: list[tuple[Kind, tuple[Linear, ...]]] = [
            ("attention", (*names.qkv, names.attention_out)),
            ("gate_up", names.gate_up),
            ("down", names.down),
        ]
        for kind, linears in kinds:
            for linear in linears:
                yield from self._matrix(linear, kind)
        for linear in (router, *(linear for _, linears in kinds for linear in linears)):
            bias = self._random.normal(linear.out_features, std=_BIAS_STD)
            yield linear.bias.name, bias.half()

    def _matrix(self, linear: Linear, kind: Kind) -> Iterator[tuple[str, Tensor]]:
        random, name = self._random, linear.name
        rows, columns = linear.in_features, linear.out_features
        if kind not in self._recipe:
            weight = random.normal(columns, rows, std=_WEIGHT_STD, dtype=torch.float16)
            yield f"{name}.weight", weight
            return
        bits, group_size = self._recipe[kind]
        if bits == MXFP4:
            yield from self._mxfp4(linear)
            return
        num_words = rows * bits // 32
        first_words = range(0, num_words, group_size * bits // 32)
        num_groups = len(first_words)

        def words(*shape: int) -> Tensor:
            return random.words(torch.empty(shape, dtype=torch.int32, device=random.device))

        yield f"{name}.q_weight", words(num_words, columns)
        yield f"{name}.q_scale", words(num_groups, columns // 8)
        scale_max = 256 * random.scale_max(num_groups, bits=bits, steps=range(16))
        yield f"{name}.q_scale_max", scale_max.half()
        table = torch.tensor([(bits, first) for first in first_words])
        yield f"{name}.q_groups", table.flatten().to(torch.int16)

    def _mxfp4(self, linear: Linear) -> Iterator[tuple[str, Tensor]]:
        def integers(low: int, high: int, *shape: int) -> Tensor:
            out = torch.empty(shape, dtype=torch.uint8, device=self._random.device)
            return self._random.integers(out, low, high)

        shape = linear.out_features, linear.in_features // 32
        yield f"{linear.name}.blocks", integers(0, 256, *shape, 16)
        yield f"{linear.name}.scales", integers(*_EXPONENTS, *shape)


def _only(stack: Matrix) -> Matrix:
    """The one matrix of a stack."""
    if isinstance(stack, Plain):
        return Plain(stack.weight[0])
    return replace(
        stack,
        words=stack.words[0],
        high=None if stack.high is None else stack.high[0],
        scales=stack.scales[0],
    )
