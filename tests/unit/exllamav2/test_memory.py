"""What a model takes with exllamav2 is never more than was said."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from inkling.engine.exl2 import write_checkpoint
from inkling.engine.exllamav2 import check_fits, load_exllamav2, needed
from inkling.engine.exllamav2.matrix import HalfMatrix, QuantizedMatrix, SideBySide
from inkling.engine.gpu import memory
from inkling.errors import CheckpointError, TooLarge
from tests.unit.exllamav2.double import Exllamav2Double
from tests.unit.model.gpt_oss_cases import transformers_model
from tests.unit.model.test_checkpoint import CONFIG, RECIPE


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("checkpoint")
    write_checkpoint(made, CONFIG, transformers_model(CONFIG, seed=0).state_dict(), RECIPE)
    return made


def nbytes(thing: object) -> int:
    """Of all tensors that a part of a model holds."""
    if isinstance(thing, Tensor):
        return thing.nbytes
    if isinstance(thing, QuantizedMatrix):
        return sum(tensor.nbytes for tensor in thing._tensors.values())
    if isinstance(thing, HalfMatrix):
        return thing.weight.nbytes
    if isinstance(thing, SideBySide):
        return sum(map(nbytes, thing.parts))
    if isinstance(thing, tuple):
        return sum(map(nbytes, thing))
    return sum(map(nbytes, vars(thing).values()))


def test_weights_and_kv_are_counted(folder: Path) -> None:
    model = load_exllamav2(folder, torch.device("cpu"), Exllamav2Double().kernels)
    need = needed(folder, 1000, 16)
    assert nbytes(model.weights) < need.weights
    assert need.kv == 63 * 16 * model.new_kv(63, 16).bytes_per_token == 63 * 16 * need.kv_per_token
    in_8_bits = needed(folder, 1000, 16, 8)
    assert in_8_bits.kv_per_token == model.new_kv(63, 16, 8).bytes_per_token
    assert in_8_bits.kv == need.kv_in_8_bits == 63 * 16 * in_8_bits.kv_per_token < need.kv
    assert need.total == need.weights + need.kv + need.workspace


def test_it_takes_more_than_our_own_kernels(folder: Path) -> None:
    """As the cure claims."""
    assert memory.needed(folder, 4096, 16).total < needed(folder, 4096, 16).total


def test_too_large_is_one_sentence(folder: Path) -> None:
    need = needed(folder, 4096, 16)
    check_fits(need, need.total)
    with pytest.raises(
        TooLarge, match=r"GiB are free: set engine.backend to \"fused\", which takes"
    ):
        check_fits(need, need.total - 1)


def test_a_folder_without_weights_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no .safetensors file"):
        needed(tmp_path, 4096, 16)
