"""Random gpt-oss checkpoints in the layout in which OpenAI publishes them on Hugging Face.

Everything `openai/gpt-oss-20b` has is there under the same names, in the same types and order of
axes: `config.json`, `generation_config.json`, safetensors in shards with their index.
"""

import json
import math
import shutil
from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import save_file
from torch import Tensor

from inkling.engine.model.config import DEFAULT_ROPE, FULL, SLIDING, GptOssConfig

Layout = Literal["mxfp4", "bf16"]

# As in the published config.json.
QUANTIZATION: Mapping[str, Any] = {
    "modules_to_not_convert": [
        "model.layers.*.self_attn",
        "model.layers.*.mlp.router",
        "model.embed_tokens",
        "lm_head",
    ],
    "quant_method": "mxfp4",
}
_GENERATION: Mapping[str, Any] = {
    "bos_token_id": 199998,
    "do_sample": True,
    "eos_token_id": [200002, 199999, 200012],
    "pad_token_id": 199999,
}
_TOKENIZER = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
)

_CPU = torch.device("cpu")
_BLOCK = 32
_MAGNITUDES = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)  # of E2M1
_LARGEST_EXPONENT = 2  # 6 = 1.5 * 2**2
_BIAS = 127

_WEIGHT_STD = 0.03
_COLUMN_SPREAD = 0.3  # columns differ by a factor e**this, so that exponents in a row of blocks do
_ROUTER_STD = 0.05
_BIAS_STD = 0.02


def tiny_fields(**changes: Any) -> dict[str, Any]:
    """A `config.json` as published but tiny, with `changes`.

    No two widths are the same, so that axes in the wrong order show.
    """
    rope = {**DEFAULT_ROPE, "original_max_position_embeddings": 64}
    return {
        "architectures": ["GptOssForCausalLM"],
        "model_type": "gpt_oss",
        "torch_dtype": "bfloat16",
        "num_hidden_layers": 2,
        "layer_types": [SLIDING, FULL],
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
        "num_attention_heads": 10,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "sliding_window": 8,
        "vocab_size": 104,
        "max_position_embeddings": 2048,
        "rms_norm_eps": 1e-5,
        "swiglu_limit": 7.0,
        "rope_theta": rope.pop("rope_theta"),
        "rope_scaling": rope,
        "tie_word_embeddings": False,
        **changes,
    }


def write_published(
    folder: Path,
    fields: Mapping[str, Any],
    *,
    layout: Layout = "mxfp4",
    num_shards: int | None = 1,
    seed: int = 0,
    device: torch.device = _CPU,
    tokenizer_folder: Path | None = None,
) -> None:
    """Write a random checkpoint of the `config.json` `fields` into `folder`, made if need be.

    "bf16" is what transformers saves of a model that was loaded from "mxfp4": with the same `seed`
    and `device` it holds the same values. They do not depend on `num_shards`; None is a single
    `model.safetensors` without an index. Memory: a shard's worth, and one matrix in fp32. Tokenizer
    files are copied as far as `tokenizer_folder` has them.
    """
    config = GptOssConfig.from_fields(fields, folder / "config.json")
    units = _units(config, _Random(device, seed), layout)
    folder.mkdir(parents=True, exist_ok=True)
    count = num_shards or 1
    weight_map: dict[str, str] = {}
    total_size = 0
    for number in range(count):
        tensors: dict[str, Tensor] = {}
        for unit in units[number * len(units) // count : (number + 1) * len(units) // count]:
            tensors |= unit()
        file = "model.safetensors"
        if num_shards is not None:  # the published ones count from 0 to the last number
            file = f"model-{number:05}-of-{count - 1:05}.safetensors"
        save_file(tensors, folder / file, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(sorted(tensors), file)
        total_size += sum(tensor.nbytes for tensor in tensors.values())
    if num_shards is not None:
        index = {"metadata": {"total_size": total_size}, "weight_map": weight_map}
        _write_json(folder / "model.safetensors.index.json", index)
    note = {"quantization_config": QUANTIZATION} if layout == "mxfp4" else {}
    _write_json(folder / "config.json", {**fields, **note})
    _write_json(folder / "generation_config.json", _GENERATION)
    if tokenizer_folder is not None:
        for name in _TOKENIZER:
            if (tokenizer_folder / name).is_file():
                shutil.copyfile(tokenizer_folder / name, folder / name)


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


class _Random:
    """The numbers of one model, drawn in order on one device; results lie on the CPU."""

    def __init__(self, device: torch.device, seed: int) -> None:
        self._device = device
        self._generator = torch.Generator(device).manual_seed(seed)

    def draw(self, *shape: int) -> Tensor:
        """Standard normal, fp32, on the device."""
        return torch.empty(shape, device=self._device).normal_(generator=self._generator)

    def normal(self, *shape: int, std: float, mean: float = 0.0) -> Tensor:
        """bf16."""
        return self.draw(*shape).mul_(std).add_(mean).bfloat16().cpu()

    def expert(self, in_features: int, out_features: int) -> tuple[Tensor, Tensor]:
        """One matrix as codes uint8 and exponents int32 of `quantized`, on the device."""
        spread = self.draw(out_features, 1).mul_(_COLUMN_SPREAD).exp_()
        return quantized(self.draw(out_features, in_features).mul_(spread).mul_(_WEIGHT_STD))


def quantized(weights: Tensor) -> tuple[Tensor, Tensor]:
    """`weights` [out, in] as E2M1 codes uint8 `[out, in]` and exponents int32 `[out, in / 32]`.

    By the rule of OCP Microscaling Formats 1.0 (6.3): the exponent of a block's largest value less
    E2M1's own, values to the nearest magnitude. No block may be all zeros.
    """
    out_features, in_features = weights.shape
    blocks = weights.view(out_features, in_features // _BLOCK, _BLOCK)
    exponents = torch.frexp(blocks.abs().amax(-1)).exponent - 1 - _LARGEST_EXPONENT
    scaled = blocks.abs().mul_(powers_of_two(-exponents)[..., None])
    codes = (blocks < 0).to(torch.uint8).mul_(8)
    for low, high in pairwise(_MAGNITUDES):
        codes += scaled > (low + high) / 2
    return codes.view(out_features, in_features), exponents


def powers_of_two(exponents: Tensor) -> Tensor:
    """fp32, exact on any device: they are written into its exponent field. No subnormals."""
    return (exponents + _BIAS << 23).view(torch.float32)


def _units(
    config: GptOssConfig, random: _Random, layout: Layout
) -> list[Callable[[], dict[str, Tensor]]]:
    """The model in pieces of neighbouring tensors by name; they must be made in order."""
    make_experts = partial(_packed_experts if layout == "mxfp4" else _plain_experts, random)
    num_experts, hidden, inner = config.num_experts, config.hidden_size, config.intermediate_size
    units: list[Callable[[], dict[str, Tensor]]] = [partial(_embedding, random, config)]
    for index in range(config.num_layers):
        layer = f"model.layers.{index}"
        experts = f"{layer}.mlp.experts"
        units += [
            partial(_attention_and_router, random, layer, config),
            partial(make_experts, f"{experts}.gate_up_proj", num_experts, hidden, 2 * inner),
            partial(make_experts, f"{experts}.down_proj", num_experts, inner, hidden),
        ]
    return [*units, partial(_norm_and_head, random, config)]


def _embedding(random: _Random, config: GptOssConfig) -> dict[str, Tensor]:
    weight = random.normal(config.vocab_size, config.hidden_size, std=1)
    return {"model.embed_tokens.weight": weight}


def _norm_and_head(random: _Random, config: GptOssConfig) -> dict[str, Tensor]:
    hidden = config.hidden_size
    tensors = {"model.norm.weight": random.normal(hidden, std=0.1, mean=1)}
    if not config.tie_word_embeddings:
        tensors["lm_head.weight"] = random.normal(config.vocab_size, hidden, std=_WEIGHT_STD)
    return tensors


def _attention_and_router(random: _Random, layer: str, config: GptOssConfig) -> dict[str, Tensor]:
    hidden = config.hidden_size
    heads_width = config.num_heads * config.head_dim
    kv_width = config.num_kv_heads * config.head_dim
    tensors = {
        f"{layer}.input_layernorm.weight": random.normal(hidden, std=0.1, mean=1),
        f"{layer}.post_attention_layernorm.weight": random.normal(hidden, std=0.1, mean=1),
        f"{layer}.self_attn.sinks": random.normal(config.num_heads, std=1),
    }
    for name, std, in_features, out_features in (
        ("self_attn.q_proj", _WEIGHT_STD, hidden, heads_width),
        ("self_attn.k_proj", _WEIGHT_STD, hidden, kv_width),
        ("self_attn.v_proj", _WEIGHT_STD, hidden, kv_width),
        ("self_attn.o_proj", _WEIGHT_STD, heads_width, hidden),
        ("mlp.router", _ROUTER_STD, hidden, config.num_experts),
    ):
        tensors[f"{layer}.{name}.weight"] = random.normal(out_features, in_features, std=std)
        tensors[f"{layer}.{name}.bias"] = random.normal(out_features, std=_BIAS_STD)
    return tensors


def _packed_experts(
    random: _Random, name: str, num_experts: int, in_features: int, out_features: int
) -> dict[str, Tensor]:
    shape = num_experts, out_features, in_features // _BLOCK
    blocks = torch.empty(*shape, _BLOCK // 2, dtype=torch.uint8)
    scales = torch.empty(shape, dtype=torch.uint8)
    for index in range(num_experts):
        codes, exponents = random.expert(in_features, out_features)
        pairs = codes.view(*shape[1:], _BLOCK // 2, 2)
        blocks[index].copy_(pairs[..., 0] | pairs[..., 1] << 4)
        scales[index].copy_(exponents + _BIAS)
    bias = random.normal(num_experts, out_features, std=_BIAS_STD)
    return {f"{name}_blocks": blocks, f"{name}_scales": scales, f"{name}_bias": bias}


def _plain_experts(
    random: _Random, name: str, num_experts: int, in_features: int, out_features: int
) -> dict[str, Tensor]:
    stack = torch.empty(num_experts, in_features, out_features, dtype=torch.bfloat16)
    for index in range(num_experts):
        codes, exponents = random.expert(in_features, out_features)
        signed = (*_MAGNITUDES, *(math.copysign(value, -1) for value in _MAGNITUDES))
        values = torch.tensor(signed, device=codes.device)[codes.int()]
        blocks = values.view(out_features, -1, _BLOCK) * powers_of_two(exponents)[..., None]
        stack[index].copy_(blocks.view(out_features, in_features).t())
    bias = random.normal(num_experts, out_features, std=_BIAS_STD)
    return {name: stack, f"{name}_bias": bias}
