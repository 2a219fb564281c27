"""Two layers as large as gpt-oss-20b's, with all their experts, through the recipes that need no GPU."""

from pathlib import Path

import pytest
import torch

from bench.conversion import measure
from inkling.engine.convert.plan import make_plan
from inkling.engine.convert.recipe import load_recipe
from inkling.engine.convert.run import Calibration
from inkling.engine.exl2.names import model_names
from inkling.engine.gpu.synthetic import GPT_OSS_20B_FIELDS
from inkling.engine.model.config import GptOssConfig
from inkling.engine.pick import demo_folder
from tests.published import write_published

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]

CPU = torch.device("cpu")
# The vocabulary is not the layers': a small one leaves out ten minutes of embedding and head.
FIELDS = {
    **GPT_OSS_20B_FIELDS,
    "num_hidden_layers": 2,
    "vocab_size": 8192,
}


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published") / "gpt-oss"
    write_published(folder, FIELDS, num_shards=3, tokenizer_folder=demo_folder())
    return folder


@pytest.mark.parametrize(("recipe", "largest"), [("balanced", 0.025), ("exact", 0), ("native", 0)])
def test_true_shapes(published: Path, tmp_path: Path, recipe: str, largest: float) -> None:
    """Converted, verified and, where exact, compared with transformers' own dequantizer."""
    result = measure(published, tmp_path / recipe, recipe, CPU, Calibration())
    assert result.worst_error <= largest
    assert result.inexact_blocks == 0
    config = GptOssConfig.from_fields(FIELDS, published / "config.json")
    planned = make_plan(model_names(config), load_recipe(recipe)).nbytes
    assert result.gb * 1e9 == planned
