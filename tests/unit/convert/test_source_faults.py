"""Whatever else is given than a whole published checkpoint says what it is and what to give."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from inkling.engine.convert.source import Source
from inkling.engine.exl2 import write_checkpoint
from inkling.errors import CheckpointError
from tests.published import tiny_fields, write_published
from tests.unit.model.gpt_oss_cases import transformers_model

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
EXPERTS = "model.layers.1.mlp.experts"


@pytest.fixture
def single(tmp_path: Path) -> Path:
    """MXFP4 in one file without an index."""
    write_published(tmp_path / "single", tiny_fields(), num_shards=None)
    return tmp_path / "single"


# Each is given a folder, published in one file, and returns what is to be converted.
Fault = Callable[[Path], Path | None]


def rewrite(change: Callable[[dict[str, Tensor]], Any]) -> Fault:
    def damage(folder: Path) -> None:
        tensors = load_file(folder / WEIGHTS)
        change(tensors)
        save_file(tensors, folder / WEIGHTS)

    return damage


def drop(name: str) -> Fault:
    return rewrite(lambda tensors: tensors.pop(name))


def put(name: str, value: Callable[[Tensor], Tensor]) -> Fault:
    def change(tensors: dict[str, Tensor]) -> None:
        tensors[name] = value(tensors[name]).contiguous()

    return rewrite(change)


def change_config(**changes: Any) -> Fault:
    def damage(folder: Path) -> None:
        fields = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**fields, **changes}))

    return damage


def publish_shards(folder: Path) -> list[Path]:
    """The same model in three shards instead; their paths."""
    (folder / WEIGHTS).unlink()
    write_published(folder, tiny_fields(), num_shards=3)
    return sorted(folder.glob("*.safetensors"))


def lose_shard(folder: Path) -> None:
    publish_shards(folder)[1].unlink()


def lose_shard_and_index(folder: Path) -> None:
    publish_shards(folder)[1].unlink()
    (folder / INDEX).unlink()


def lose_all_shards(folder: Path) -> None:
    for path in publish_shards(folder):
        path.unlink()


def truncate_shard(folder: Path) -> None:
    last = publish_shards(folder)[-1]
    os.truncate(last, last.stat().st_size - 1)


def pointer_instead_of_shard(folder: Path) -> None:
    """What git leaves without git-lfs."""
    (folder / WEIGHTS).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")


def break_config(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def break_index(folder: Path) -> None:
    (folder / INDEX).write_text("[]")


def original_layout(folder: Path) -> Path:
    (folder / "original").mkdir()
    (folder / "original" / "config.json").write_text('{"num_hidden_layers": 2, "num_experts": 4}')
    tensors = {"block.0.attn.qkv.weight": torch.zeros(8, 8), "unembedding.weight": torch.zeros(8)}
    save_file(tensors, folder / "original" / WEIGHTS)
    return folder / "original"


def gguf_folder(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder / "gpt-oss-20b-mxfp4.gguf")


def gguf_file(folder: Path) -> Path:
    gguf_folder(folder)
    return folder / "gpt-oss-20b-mxfp4.gguf"


def exl2_folder(folder: Path) -> Path:
    fields = tiny_fields(rope_parameters={"rope_type": "default", "rope_theta": 10_000.0})
    state = transformers_model(fields, seed=0).state_dict()
    write_checkpoint(folder / "exl2", fields, state, {"gate_up": (4, 32), "down": (4, 32)})
    return folder / "exl2"


def exl2_folder_without_note(folder: Path) -> Path:
    exl2 = exl2_folder(folder)
    change_config(quantization_config=None)(exl2)
    return exl2


GIVE = ": .*give the folder of gpt-oss-20b as published on Hugging Face .openai/gpt-oss-20b."

FAULTS: dict[str, tuple[Fault, str]] = {
    "no folder": (lambda folder: folder / "nowhere", f"There is no folder .*nowhere{GIVE}"),
    "a file": (lambda folder: folder / WEIGHTS, f"There is no folder .*{WEIGHTS}{GIVE}"),
    "no weights": (lambda f: (f / WEIGHTS).unlink(), f"There is no .safetensors file in .*{GIVE}"),
    "no config": (lambda f: (f / "config.json").unlink(), "config.json cannot be read"),
    "broken config": (break_config, "is not JSON"),
    "broken index": (break_index, "is no index of safetensors files"),
    "lost shard": (
        lose_shard,
        "lacks the file model-00001-of-00002.safetensors that its index names",
    ),
    "lost shard and index": (lose_shard_and_index, "lacks the tensor model.layers"),
    "lost shards": (lose_all_shards, f"There is no .safetensors file in .*{GIVE}"),
    "truncated shard": (truncate_shard, "model-00002-of-00002.safetensors is truncated"),
    "pointer": (pointer_instead_of_shard, "model.safetensors is truncated or no safetensors file"),
    "GGUF folder": (gguf_folder, f"is GGUF, which cannot be converted{GIVE}"),
    "GGUF file": (gguf_file, f"mxfp4.gguf is GGUF, which cannot be converted{GIVE}"),
    "original layout": (original_layout, f"original is in OpenAI's original layout{GIVE}"),
    "EXL2": (exl2_folder, f"exl2 is EXL2 already{GIVE}"),
    "EXL2 without a note": (exl2_folder_without_note, f"exl2 is EXL2 already{GIVE}"),
    "other quantization": (
        change_config(quantization_config={"quant_method": "bitsandbytes"}),
        f"is quantized with bitsandbytes, but only MXFP4 and plain weights can be .*{GIVE}",
    ),
    "other architecture": (
        change_config(architectures=["LlamaForCausalLM"]),
        "architecture LlamaForCausalLM, but only GptOssForCausalLM",
    ),
    "missing norm": (drop("model.norm.weight"), "lacks the tensor model.norm.weight: copy or"),
    "missing head": (drop("lm_head.weight"), "lacks the tensor lm_head.weight"),
    "missing sinks": (
        drop("model.layers.1.self_attn.sinks"),
        "lacks the tensor model.layers.1.self_attn.sinks",
    ),
    "missing blocks": (
        drop(f"{EXPERTS}.down_proj_blocks"),
        f"lacks the tensor {EXPERTS}.down_proj_blocks",
    ),
    "missing scales": (
        drop(f"{EXPERTS}.down_proj_scales"),
        f"lacks the tensor {EXPERTS}.down_proj_scales",
    ),
    "missing expert bias": (
        drop(f"{EXPERTS}.gate_up_proj_bias"),
        f"lacks the tensor {EXPERTS}.gate_up_proj_bias",
    ),
    "fewer experts": (
        put(f"{EXPERTS}.gate_up_proj_scales", lambda t: t[:3]),
        rf"{EXPERTS}.gate_up_proj_scales .* should be uint8 \[4, 192, 2\] but is uint8 \[3, 192, 2",
    ),
    "blocks of another type": (
        put(f"{EXPERTS}.down_proj_blocks", lambda t: t.to(torch.int16)),
        rf"{EXPERTS}.down_proj_blocks .* should be uint8 \[4, 64, 3, 16\] but is int16",
    ),
    "transposed": (
        put("model.layers.0.self_attn.q_proj.weight", lambda t: t.T),
        r"q_proj.weight .* should be floating-point \[160, 64\] but is bfloat16 \[64, 160\]",
    ),
    "integers": (
        put("model.norm.weight", lambda t: t.int()),
        r"model.norm.weight .* should be floating-point \[64\] but is int32 \[64\]",
    ),
    "other config": (
        change_config(vocab_size=112),
        r"embed_tokens.weight .* should be floating-point \[112, 64\] .* take the config.json",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_cannot_be_converted_is_refused_at_once(single: Path, fault: str) -> None:
    damage, message = FAULTS[fault]
    given = damage(single) or single
    with pytest.raises(CheckpointError, match=message) as caught:
        Source(given)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_values_that_are_not_finite_are_refused_when_read(tmp_path: Path, value: float) -> None:
    write_published(tmp_path, tiny_fields(), layout="bf16", num_shards=None)

    def poison(tensors: dict[str, Tensor]) -> None:
        tensors[f"{EXPERTS}.down_proj"][2, 7, 5] = value
        tensors[f"{EXPERTS}.down_proj_bias"][2, 5] = value
        tensors["model.embed_tokens.weight"][103, 63] = value

    rewrite(poison)(tmp_path)
    with Source(tmp_path) as source:
        down = source.names.layers[1].down
        with pytest.raises(CheckpointError, match=f"{EXPERTS}.2.down_proj in .* holds NaN or inf"):
            source.matrix(down[2])
        with pytest.raises(CheckpointError, match=f"{EXPERTS}.2.down_proj.bias in .* holds NaN"):
            source.vector(down[2].bias)
        with pytest.raises(CheckpointError, match=r"model.embed_tokens.weight in .* holds NaN"):
            source.matrix(source.names.embedding)
        source.matrix(down[1])
        source.vector(down[3].bias)


def test_a_scale_that_is_nan_is_refused_when_read(single: Path) -> None:
    def poison(tensors: dict[str, Tensor]) -> None:
        tensors[f"{EXPERTS}.gate_up_proj_scales"][3, 100, 1] = 255

    rewrite(poison)(single)
    with Source(single) as source:
        gate_up = source.names.layers[1].gate_up
        with pytest.raises(CheckpointError, match=rf"scales of {EXPERTS}.3.gate_up_proj hold NaN"):
            source.matrix(gate_up[3])
        source.matrix(gate_up[2])
