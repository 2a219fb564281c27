"""Random models are models: their checkpoints load, and their weights look like loaded ones."""

import json
from pathlib import Path

import pytest
import torch

from inkling.engine.exl2.tensors import INDEX
from inkling.engine.exl2.write import Recipe
from inkling.engine.gpu.codes import MXFP4
from inkling.engine.gpu.layout import Packed, split_scales
from inkling.engine.gpu.load import load_gpu_weights
from inkling.engine.gpu.synthetic import (
    GPT_OSS_20B,
    RECIPES,
    synthetic_weights,
    write_synthetic,
)
from inkling.engine.model.config import GptOssConfig
from inkling.engine.pick import demo_folder
from inkling.tokenizer import Tokenizer
from tests.unit.gpu.test_load import load, values
from tests.unit.gpu.test_memory import tensors_of
from tests.unit.model.gpt_oss_cases import fields

CPU = torch.device("cpu")
FIELDS = fields(num_hidden_layers=2, hidden_size=96, intermediate_size=160, vocab_size=512)
CONFIG = GptOssConfig.from_fields(FIELDS, Path("config.json"))


def write(folder: Path, recipe: Recipe) -> None:
    write_synthetic(folder, FIELDS, recipe, demo_folder(), CPU, seed=0)


@pytest.mark.parametrize("recipe", [*RECIPES, "plain", "embedding"])
def test_a_written_checkpoint_loads_with_both_loaders(tmp_path: Path, recipe: str) -> None:
    more: dict[str, Recipe] = {"plain": {}, "embedding": {"embedding": (6, 64), "down": (3, 128)}}
    write(tmp_path / "model", {**RECIPES, **more}[recipe])
    load(tmp_path / "model")
    assert Tokenizer.load(tmp_path / "model").vocab_size == 8192


def test_a_written_checkpoint_has_a_file_of_each_layer_and_one_more(tmp_path: Path) -> None:
    write(tmp_path, RECIPES["balanced"])
    files = {path.name for path in tmp_path.glob("*.safetensors")}
    assert files == {f"model-0000{number}-of-00003.safetensors" for number in (1, 2, 3)}
    index = json.loads((tmp_path / INDEX).read_text())
    assert set(index["weight_map"].values()) == files
    sizes = sum((tmp_path / file).stat().st_size for file in files)
    assert 0 < sizes - index["metadata"]["total_size"] < 0.1 * sizes  # their headers


@pytest.mark.parametrize("recipe", RECIPES)
def test_weights_are_made_as_they_would_be_loaded(tmp_path: Path, recipe: str) -> None:
    write(tmp_path, RECIPES[recipe])
    _, loaded = load_gpu_weights(tmp_path, CPU)
    bits = {kind: width for kind, (width, _) in RECIPES[recipe].items()}
    made = synthetic_weights(CONFIG, CPU, bits, seed=0)
    want = [(tensor.shape, tensor.dtype) for tensor in tensors_of(loaded)]
    assert [(tensor.shape, tensor.dtype) for tensor in tensors_of(made)] == want


@pytest.mark.parametrize("bits", [3, 4, 5, 6, 8, MXFP4])
def test_values_have_the_spread_of_real_ones(bits: int) -> None:
    weights = synthetic_weights(CONFIG, CPU, {"gate_up": bits, "head": bits}, seed=0)
    for matrix in (weights.layers[0].gate_up, weights.head, weights.layers[0].down):
        assert 0.02 < values(matrix).std() < 0.04
    assert isinstance(weights.head, Packed)
    if bits == MXFP4:
        drawn, possible = weights.head.scales, range(119, 122)
    else:
        drawn, possible = split_scales(weights.head.scales)[0], range(5, 16)
    assert set(drawn.flatten().tolist()) == set(possible)


def test_one_seed_gives_one_model(tmp_path: Path) -> None:
    one, same, other = (synthetic_weights(CONFIG, CPU, {"down": 5}, seed) for seed in (1, 1, 2))
    pairs = zip(tensors_of(one), tensors_of(same), tensors_of(other), strict=True)
    for first, second, third in pairs:
        assert torch.equal(first, second)
        assert not torch.equal(first, third)


def test_the_20b_model_is_described_as_published() -> None:
    config = GPT_OSS_20B
    assert config.is_sliding[:2] == (True, False) and len(config.is_sliding) == 24
    assert config.yarn is not None and (config.yarn.factor, config.yarn.truncate) == (32.0, False)
    experts = 24 * 32 * 3 * config.hidden_size * config.intermediate_size
    assert experts == pytest.approx(19.11e9, rel=1e-3)
