"""The weights of a checkpoint as the network's state, to train on from it."""

from pathlib import Path

import torch
from torch import Tensor

from inkling.engine.exl2 import load_checkpoint


def state_of(checkpoint: Path) -> dict[str, Tensor]:
    """All weights of a checkpoint folder in fp32, dequantized, under transformers' names.

    Raises CheckpointError as `load_checkpoint` does.
    """
    model = load_checkpoint(checkpoint)
    config, weights = model.config, model.weights
    widths = [config.num_heads * config.head_dim, *[config.num_kv_heads * config.head_dim] * 2]
    state = {
        "model.embed_tokens.weight": weights.embedding,
        "model.norm.weight": weights.norm,
        "lm_head.weight": weights.head.t(),
    }
    for number, layer in enumerate(weights.layers):
        mine = {
            "input_layernorm.weight": layer.input_norm,
            "post_attention_layernorm.weight": layer.post_attention_norm,
            "self_attn.sinks": layer.sinks,
            "self_attn.o_proj.weight": layer.attention_out.t(),
            "self_attn.o_proj.bias": layer.attention_out_bias,
            "mlp.router.weight": layer.router.t(),
            "mlp.router.bias": layer.router_bias,
            "mlp.experts.gate_up_proj": _interleaved(torch.stack(layer.gate_up)),
            "mlp.experts.gate_up_proj_bias": _interleaved(torch.stack(layer.gate_up_bias)),
            "mlp.experts.down_proj": torch.stack(layer.down),
            "mlp.experts.down_proj_bias": torch.stack(layer.down_bias),
        }
        matrices, biases = torch.split(layer.qkv, widths, 1), torch.split(layer.qkv_bias, widths)
        for name, matrix, bias in zip("qkv", matrices, biases, strict=True):
            mine[f"self_attn.{name}_proj.weight"] = matrix.t()
            mine[f"self_attn.{name}_proj.bias"] = bias
        state |= {f"model.layers.{number}.{name}": tensor for name, tensor in mine.items()}
    return {name: tensor.float().contiguous() for name, tensor in state.items()}


def _interleaved(gates_first: Tensor) -> Tensor:
    """Columns of all gates and then all ups, to gate, up, gate, up, … as published."""
    return torch.stack(gates_first.chunk(2, -1), -1).flatten(-2)
