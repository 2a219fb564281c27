"""Checkpoint folders: what is written is what is loaded, and every broken folder says how."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from inkling.engine.exl2 import load_checkpoint, write_checkpoint
from inkling.engine.exl2.write import Recipe
from inkling.errors import CheckpointError
from tests.unit.model.gpt_oss_cases import PAGE_LEN, checkpoint, fields, tokens, transformers_model

CONFIG = fields(num_hidden_layers=2, num_local_experts=4, hidden_size=96, intermediate_size=160)
RECIPE: Recipe = {
    "embedding": (6, 32),
    "attention": (6, 32),
    "gate_up": (4, 32),
    "down": (4, 64),
    "head": (6, 128),
}
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
DOWN = "model.layers.1.mlp.experts.2.down_proj"


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    model = transformers_model(CONFIG, seed=0)
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


@pytest.fixture
def folder(tmp_path: Path, state: dict[str, Tensor]) -> Path:
    write_checkpoint(tmp_path, CONFIG, state, RECIPE)
    return tmp_path


def logits(folder: Path) -> Tensor:
    model = load_checkpoint(folder)
    kv = model.new_kv(8, PAGE_LEN)
    return model.forward(tokens(20), 0, range(8), kv, 20)


def rewrite(folder: Path, change: Callable[[dict[str, Tensor]], Any]) -> None:
    """Change the tensors of a written checkpoint."""
    tensors = load_file(folder / WEIGHTS)
    change(tensors)
    save_file(tensors, folder / WEIGHTS)


def shard(folder: Path, *, has_index: bool) -> None:
    """Split a written checkpoint into three files."""
    tensors = load_file(folder / WEIGHTS)
    (folder / WEIGHTS).unlink()
    weight_map: dict[str, str] = {}
    for number in range(3):
        name = f"model-0000{number + 1}-of-00003.safetensors"
        part = dict(list(tensors.items())[number::3])
        save_file(part, folder / name)
        weight_map |= dict.fromkeys(part, name)
    if has_index:
        (folder / INDEX).write_text(json.dumps({"weight_map": weight_map}))


@pytest.mark.parametrize("has_index", [True, False], ids=["index", "no index"])
def test_shards_load_as_one_file_does(folder: Path, has_index: bool) -> None:
    expected = logits(folder)
    shard(folder, has_index=has_index)
    assert torch.equal(logits(folder), expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_plain_tensors_of_any_float_type(folder: Path, dtype: torch.dtype) -> None:
    """Values that bf16 holds exactly come out the same from fp16, bf16 and fp32."""

    def coarsen(tensors: dict[str, Tensor]) -> None:
        for name, tensor in tensors.items():
            if tensor.dtype == torch.float16 and not name.endswith("q_scale_max"):
                tensors[name] = tensor.bfloat16().half()

    def convert(tensors: dict[str, Tensor]) -> None:
        for name, tensor in tensors.items():
            if tensor.dtype == torch.float16 and not name.endswith("q_scale_max"):
                tensors[name] = tensor.to(dtype)

    rewrite(folder, coarsen)
    expected = logits(folder)
    rewrite(folder, convert)
    assert torch.equal(logits(folder), expected)


def test_permuted_rows_load_in_their_own_order(folder: Path) -> None:
    """Rows stored in another order, 32 at a time, are the same matrix with a `q_invperm`."""
    expected = logits(folder)

    def permute(tensors: dict[str, Tensor]) -> None:
        name = "model.layers.0.self_attn.q_proj"  # 3 groups of 32 rows, 6 words each
        order = torch.tensor([2, 0, 1])
        tensors[f"{name}.q_weight"] = (
            tensors[f"{name}.q_weight"].view(3, 6, -1)[order].flatten(0, 1)
        )
        for part in ("q_scale", "q_scale_max"):
            tensors[f"{name}.{part}"] = tensors[f"{name}.{part}"][order]
        stored = torch.arange(96).view(3, 32)[order].flatten()
        tensors[f"{name}.q_invperm"] = stored.argsort().to(torch.int32)

    rewrite(folder, permute)
    assert torch.equal(logits(folder), expected)


def test_size_is_what_the_recipe_says(folder: Path, state: dict[str, Tensor]) -> None:
    tensors = load_file(folder / WEIGHTS)
    assert tensors["model.embed_tokens.q_weight"].shape == (96 * 6 // 32, 104)
    assert tensors[f"{DOWN}.q_weight"].shape == (160 * 4 // 32, 96)
    assert tensors[f"{DOWN}.q_groups"].tolist() == [4, 0, 4, 8, 4, 16]
    assert tensors[f"{DOWN}.bias"].dtype == torch.float16
    written = json.loads((folder / "config.json").read_text())
    assert written["quantization_config"]["recipe"]["down"] == [4, 64]
    assert {key: written[key] for key in CONFIG} == CONFIG


def test_tied_head_is_not_stored(tmp_path: Path) -> None:
    config = {**CONFIG, "tie_word_embeddings": True}
    checkpoint(tmp_path, config, transformers_model(config, seed=1), RECIPE)
    assert not any(name.startswith("lm_head") for name in load_file(tmp_path / WEIGHTS))


def test_writing_fails_before_an_older_checkpoint_is_touched(
    folder: Path, state: dict[str, Tensor]
) -> None:
    expected = logits(folder)
    name = "model.layers.1.mlp.experts.down_proj"
    faults: list[tuple[dict[str, Tensor], str]] = [
        ({key: value for key, value in state.items() if key != name}, f"lack the tensor {name}"),
        ({**state, name: state[name][:3]}, rf"{name} to write should be \[4, 160, 96\]"),
        ({**state, name: state[name] * torch.nan}, f"{name} to write holds NaN"),
        ({**state, name: state[name] * 1e7}, f"{name} to write holds NaN, infinity or values bey"),
    ]
    for faulty, message in faults:
        with pytest.raises(CheckpointError, match=message):
            write_checkpoint(folder, CONFIG, faulty, RECIPE)
    with pytest.raises(CheckpointError, match="only GptOssForCausalLM"):
        write_checkpoint(folder, {**CONFIG, "architectures": ["Other"]}, state, RECIPE)
    with pytest.raises(ValueError, match="7 bits"):
        write_checkpoint(folder, CONFIG, state, {**RECIPE, "down": (7, 32)})
    assert torch.equal(logits(folder), expected)


def drop(name: str) -> Callable[[Path], None]:
    def change(tensors: dict[str, Tensor]) -> None:
        del tensors[name]

    return lambda folder: rewrite(folder, change)


def put(name: str, value: Callable[[Tensor], Tensor]) -> Callable[[Path], None]:
    def change(tensors: dict[str, Tensor]) -> None:
        tensors[name] = value(tensors[name]).contiguous()

    return lambda folder: rewrite(folder, change)


def truncate(size: int) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        content = (folder / WEIGHTS).read_bytes()
        (folder / WEIGHTS).write_bytes(content[:size])

    return change


def lose_shard(folder: Path) -> None:
    shard(folder, has_index=True)
    (folder / "model-00002-of-00003.safetensors").unlink()


def change_config(**changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / "config.json").write_text(json.dumps({**CONFIG, **changes}))

    return change


def break_index(folder: Path) -> None:
    (folder / INDEX).write_text("[]")


FAULTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "no config": (lambda f: (f / "config.json").unlink(), "config.json cannot be read"),
    "no weights": (lambda f: (f / WEIGHTS).unlink(), "There is no .safetensors file in"),
    "empty file": (truncate(0), "model.safetensors is truncated"),
    "truncated length": (truncate(4), "model.safetensors is truncated"),
    "truncated header": (truncate(1000), "model.safetensors is truncated"),
    "truncated data": (truncate(-1), "model.safetensors is truncated"),
    "lost shard": (lose_shard, "lacks the file model-00002-of-00003.safetensors"),
    "broken index": (break_index, "is no index"),
    "missing norm": (drop("model.norm.weight"), "lacks the tensor model.norm.weight"),
    "missing matrix": (drop(f"{DOWN}.q_weight"), f"lacks the tensor {DOWN}.weight"),
    "missing part": (drop(f"{DOWN}.q_scale_max"), f"lacks the tensor {DOWN}.q_scale_max"),
    "missing sinks": (
        drop("model.layers.0.self_attn.sinks"),
        "lacks the tensor model.layers.0.self_attn.sinks",
    ),
    "plain shape": (
        put("model.norm.weight", lambda t: t[:64]),
        r"model.norm.weight .* should be floating-point \[96\] but is float16 \[64\]",
    ),
    "plain type": (
        put("model.norm.weight", lambda t: t.int()),
        r"model.norm.weight .* but is int32 \[96\]",
    ),
    "plain infinity": (
        put("model.layers.0.mlp.router.bias", lambda t: t / 0),
        "model.layers.0.mlp.router.bias .* holds NaN or infinity",
    ),
    "quantized shape": (
        put(f"{DOWN}.q_weight", lambda t: t[:, :64]),
        rf"{DOWN}.q_weight should be int32 \[20, 96\] but is int32 \[20, 64\]",
    ),
    "quantized rows": (
        put(f"{DOWN}.q_weight", lambda t: t[:-4]),
        f"{DOWN}.q_groups does not fit|{DOWN}.q_weight should hold 160 rows",
    ),
    "unknown bits": (
        put(f"{DOWN}.q_groups", lambda t: t.clone().index_fill(0, torch.tensor([0]), 7)),
        f"{DOWN}.q_groups asks for 7 bits",
    ),
    "nan scale": (
        put(f"{DOWN}.q_scale_max", lambda t: t * torch.nan),
        f"{DOWN}.q_scale_max holds NaN",
    ),
    "other architecture": (
        change_config(architectures=["LlamaForCausalLM"]),
        "architecture LlamaForCausalLM",
    ),
    "other config": (
        change_config(vocab_size=112),
        r"model.embed_tokens.q_weight should be int32 \[18, 112\] but is int32 \[18, 104\]",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_broken_folders_say_how(folder: Path, fault: str) -> None:
    damage, message = FAULTS[fault]
    damage(folder)
    with pytest.raises(CheckpointError, match=message) as caught:
        load_checkpoint(folder)
    assert "\n" not in str(caught.value)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="There is no folder .*nowhere"):
        load_checkpoint(tmp_path / "nowhere")
