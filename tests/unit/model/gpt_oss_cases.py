"""Small random gpt-oss models, as transformers has them and as checkpoints of ours."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from inkling.engine.exl2 import load_checkpoint, write_checkpoint
from inkling.engine.exl2.write import Recipe
from inkling.engine.model.paged_kv import KVBits, PagedKV
from inkling.engine.model.reference import GptOss

PLAIN_ROPE = {"rope_type": "default", "rope_theta": 10_000.0}
YARN = {
    "rope_type": "yarn",
    "rope_theta": 150_000.0,
    "factor": 32.0,
    "beta_fast": 32.0,
    "beta_slow": 1.0,
    "truncate": False,
    "original_max_position_embeddings": 4096,
}
# Rows in several groups and none of the widths a multiple of 64: hidden 96, inner 160.
ODD_SIZES = {"hidden_size": 96, "intermediate_size": 160, "head_dim": 24}
PAGE_LEN = 4


def fields(**changes: Any) -> dict[str, Any]:
    """A `config.json` of a tiny model, with `changes`."""
    return {
        "architectures": ["GptOssForCausalLM"],
        "model_type": "gpt_oss",
        "num_hidden_layers": 4,
        "hidden_size": 64,
        "intermediate_size": 64,
        "num_local_experts": 8,
        "num_experts_per_tok": 4,
        "num_attention_heads": 8,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "sliding_window": 8,
        "vocab_size": 104,
        "max_position_embeddings": 4096,
        "rope_parameters": YARN,
        "tie_word_embeddings": False,
        **changes,
    }


def transformers_model(config: Mapping[str, Any], seed: int) -> Any:
    """A random GptOssForCausalLM whose weights are all fp16 numbers, held in fp32.

    Biases, sinks and norms are random as well: at their initial values they would hide faults.
    """
    from transformers import GptOssConfig, GptOssForCausalLM

    settings = GptOssConfig(**{**config, "rope_parameters": dict(config["rope_parameters"])})
    settings._attn_implementation = "eager"
    model: Any = GptOssForCausalLM(settings)
    model.float().eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if "norm" in name:
                value = 1 + 0.2 * noise
            elif "sinks" in name:
                value = 2 * noise
            elif "embed" in name:
                value = noise
            else:
                value = 0.3 * noise if "bias" in name else 0.1 * noise
            parameter.copy_(value.half())
    return model


def expected_logits(model: Any, token_ids: list[int]) -> Tensor:
    """Logits `[tokens, vocab]` of transformers' model for a whole prompt."""
    with torch.no_grad():
        logits: Tensor = model(torch.tensor([token_ids])).logits[0]
    return logits


def checkpoint(
    folder: Path, config: Mapping[str, Any], model: Any, recipe: Recipe | None = None
) -> GptOss:
    """Write `model` into `folder` (all plain without a recipe) and load it again."""
    write_checkpoint(folder, config, model.state_dict(), recipe or {})
    return load_checkpoint(folder)


def poisoned_kv(model: GptOss, num_pages: int, bits: KVBits = 16) -> PagedKV:
    """A store in which whatever was never written is NaN: reading it would show."""
    return poisoned(model.new_kv(num_pages, PAGE_LEN, bits))


def poisoned(kv: PagedKV) -> PagedKV:
    """The store, all of it NaN."""
    if kv.key_scales is None or kv.value_scales is None:
        kv.keys.fill_(torch.nan)
        kv.values.fill_(torch.nan)
    else:
        kv.keys.fill_(1)
        kv.values.fill_(1)
        kv.key_scales.fill_(torch.nan)
        kv.value_scales.fill_(torch.nan)
    return kv


def tokens(count: int, seed: int = 0) -> list[int]:
    """Random token ids of the tiny vocabulary."""
    generator = torch.Generator().manual_seed(seed)
    ids: list[int] = torch.randint(0, 104, (count,), generator=generator).tolist()
    return ids
