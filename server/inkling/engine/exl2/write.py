"""Writing a checkpoint: each kind of layer in the bits a recipe gives it, the rest in fp16."""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import save_file
from torch import Tensor

from inkling.engine.exl2.quantize import quantize
from inkling.engine.model.config import GptOssConfig
from inkling.errors import CheckpointError

Kind = Literal["embedding", "attention", "gate_up", "down", "head"]
# (bits, group size) of each kind of matrix; a kind left out stays fp16.
Recipe = Mapping[Kind, tuple[int, int]]

WEIGHTS = "model.safetensors"


def write_checkpoint(
    folder: Path, config: Mapping[str, Any], state: Mapping[str, Tensor], recipe: Recipe
) -> None:
    """Write `config.json` and `model.safetensors` into `folder`, which is made if need be.

    `config` is what `config.json` shall hold (a note of the recipe is added), `state` the weights
    under the names of transformers' GptOssForCausalLM. Both files replace older ones only once
    they are complete. The tokenizer is the caller's to copy.

    Raises CheckpointError for a config that is not gpt-oss's and for tensors that are missing, of
    a wrong shape, or beyond fp16; ValueError for bits or shapes EXL2 has not.
    """
    shapes = GptOssConfig.from_fields(config, folder / "config.json")
    tensors = dict(_tensors(_State(state), shapes, recipe))
    note = {"quant_method": "exl2", "recipe": {kind: list(how) for kind, how in recipe.items()}}
    text = json.dumps({**config, "quantization_config": note}, indent=2) + "\n"
    folder.mkdir(parents=True, exist_ok=True)
    weights_part, config_part = folder / f"{WEIGHTS}.part", folder / "config.json.part"
    save_file(tensors, weights_part)
    config_part.write_text(text, encoding="utf-8")
    os.replace(weights_part, folder / WEIGHTS)
    os.replace(config_part, folder / "config.json")


class _State:
    """The weights to be written, checked as they are taken."""

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        self._state = state

    def __call__(self, name: str, *shape: int) -> Tensor:
        tensor = self._state.get(name)
        if tensor is None:
            raise CheckpointError(f"The weights to write lack the tensor {name}: add it.")
        if tuple(tensor.shape) != shape:
            raise CheckpointError(
                f"The tensor {name} to write should be {list(shape)} but is {list(tensor.shape)}:"
                " take the config.json that belongs to these weights."
            )
        if not bool(tensor.half().isfinite().all()):
            raise CheckpointError(
                f"The tensor {name} to write holds NaN, infinity or values beyond fp16 (65504):"
                " these weights cannot be stored."
            )
        return tensor.detach()


def _tensors(state: _State, config: GptOssConfig, recipe: Recipe) -> Iterator[tuple[str, Tensor]]:
    """All tensors of the checkpoint by their names on disk."""
    hidden, inner, vocab = config.hidden_size, config.intermediate_size, config.vocab_size
    num_experts = config.num_experts
    heads_width = config.num_heads * config.head_dim
    kv_width = config.num_kv_heads * config.head_dim

    yield from _matrix(
        "model.embed_tokens",
        state("model.embed_tokens.weight", vocab, hidden).t(),
        "embedding",
        recipe,
    )
    yield "model.norm.weight", _half(state("model.norm.weight", hidden))
    if not config.tie_word_embeddings:
        yield from _matrix("lm_head", state("lm_head.weight", vocab, hidden).t(), "head", recipe)
    for index in range(config.num_layers):
        layer = f"model.layers.{index}"
        attention, mlp = f"{layer}.self_attn", f"{layer}.mlp"
        for norm in ("input_layernorm", "post_attention_layernorm"):
            yield f"{layer}.{norm}.weight", _half(state(f"{layer}.{norm}.weight", hidden))
        for part, num_in, num_out in (
            ("q_proj", hidden, heads_width),
            ("k_proj", hidden, kv_width),
            ("v_proj", hidden, kv_width),
            ("o_proj", heads_width, hidden),
        ):
            name = f"{attention}.{part}"
            weight = state(f"{name}.weight", num_out, num_in).t()
            yield from _matrix(name, weight, "attention", recipe)
            yield f"{name}.bias", _half(state(f"{name}.bias", num_out))
        yield f"{attention}.sinks", _half(state(f"{attention}.sinks", config.num_heads))
        router = state(f"{mlp}.router.weight", num_experts, hidden)
        yield f"{mlp}.router.weight", _half(router)
        yield f"{mlp}.router.bias", _half(state(f"{mlp}.router.bias", num_experts))
        parts: tuple[tuple[str, Kind, int, int], ...] = (
            ("gate_up_proj", "gate_up", hidden, 2 * inner),
            ("down_proj", "down", inner, hidden),
        )
        for part, kind, num_in, num_out in parts:
            stacked = f"{mlp}.experts.{part}"
            weights = state(stacked, num_experts, num_in, num_out)
            biases = state(f"{stacked}_bias", num_experts, num_out)
            for expert in range(num_experts):
                name = f"{mlp}.experts.{expert}.{part}"
                yield from _matrix(name, weights[expert], kind, recipe)
                yield f"{name}.bias", _half(biases[expert])


def _matrix(name: str, weight: Tensor, kind: Kind, recipe: Recipe) -> Iterator[tuple[str, Tensor]]:
    """`weight` `[in, out]` as EXL2 by its recipe, or plain fp16 `[out, in]` without one."""
    if kind not in recipe:
        yield f"{name}.weight", _half(weight.t())
        return
    bits, group_size = recipe[kind]
    for part, tensor in quantize(weight, bits, group_size).items():
        yield f"{name}.{part}", tensor.cpu()


def _half(tensor: Tensor) -> Tensor:
    return tensor.to("cpu", torch.float16).contiguous()
