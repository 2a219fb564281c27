"""What a model takes is known to the byte before it is loaded, and what to do when it is too much."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from inkling.engine.exl2 import write_checkpoint
from inkling.engine.exl2.write import Recipe
from inkling.engine.gpu.layout import packed_nbytes
from inkling.engine.gpu.load import load_gpu_weights
from inkling.engine.gpu.memory import GIB, RECIPES, Need, check_fits, kv_nbytes, needed
from inkling.engine.gpu.synthetic import GPT_OSS_20B
from inkling.engine.gpu.synthetic import RECIPES as SYNTHETIC
from inkling.engine.model.paged_kv import KVBits, PagedKV
from inkling.errors import TooLarge
from tests.unit.gpu.test_load import EXPERT, LAYER, V, experts, make_mxfp4, make_plain, permute
from tests.unit.model.gpt_oss_cases import transformers_model
from tests.unit.model.test_checkpoint import CONFIG, RECIPE

CPU = torch.device("cpu")


def tensors_of(thing: object) -> Iterator[Tensor]:
    """All tensors of nested dataclasses and tuples."""
    if isinstance(thing, Tensor):
        yield thing
    elif isinstance(thing, tuple):
        for item in thing:
            yield from tensors_of(item)
    elif dataclasses.is_dataclass(thing):
        for field in dataclasses.fields(thing):
            yield from tensors_of(getattr(thing, field.name))


def loaded_nbytes(folder: Path) -> int:
    _, weights = load_gpu_weights(folder, CPU)
    return sum(tensor.nbytes for tensor in tensors_of(weights))


@pytest.mark.parametrize("is_tied", [False, True], ids=["own head", "tied"])
@pytest.mark.parametrize(
    "recipe", [RECIPE, {}, {"down": (3, 64)}], ids=["mixed", "plain", "3 bits"]
)
def test_weights_are_counted_to_the_byte(tmp_path: Path, recipe: Recipe, is_tied: bool) -> None:
    config = {**CONFIG, "tie_word_embeddings": is_tied}
    write_checkpoint(tmp_path, config, transformers_model(config, seed=0).state_dict(), recipe)
    assert needed(tmp_path, 1024, 16).weights == loaded_nbytes(tmp_path)


def test_orders_of_rows_and_other_formats_are_counted(tmp_path: Path) -> None:
    state = transformers_model(CONFIG, seed=0).state_dict()
    write_checkpoint(tmp_path, CONFIG, state, RECIPE)
    permute(tmp_path, {EXPERT: 1, **{f"{LAYER}.self_attn.{part}_proj": 2 for part in "qkv"}})
    assert needed(tmp_path, 1024, 16).weights == loaded_nbytes(tmp_path)
    write_checkpoint(tmp_path, CONFIG, state, RECIPE)
    make_plain(tmp_path, V, state[f"{V}.weight"].t())
    make_mxfp4(tmp_path, [*experts("gate_up_proj"), *experts("down_proj")[1:]])
    assert needed(tmp_path, 1024, 16).weights == loaded_nbytes(tmp_path)


@pytest.mark.parametrize("bits", [16, 8])
def test_the_kv_cache_is_counted_in_whole_pages(tmp_path: Path, bits: KVBits) -> None:
    write_checkpoint(tmp_path, CONFIG, transformers_model(CONFIG, seed=0).state_dict(), RECIPE)
    kv = PagedKV(2, 65, 16, 2, 16, dtype=torch.float16, device=CPU, bits=bits)
    found = needed(tmp_path, 1025, 16, bits)
    held = (kv.keys, kv.values, kv.key_scales, kv.value_scales)
    assert found.kv == sum(tensor.nbytes for tensor in held if tensor is not None)
    assert found.kv_per_token == kv.bytes_per_token
    assert found.kv_in_8_bits == needed(tmp_path, 1025, 16, 8).kv <= found.kv


def test_gpt_oss_20b_takes_about_half_in_8_bits() -> None:
    assert kv_nbytes(GPT_OSS_20B, 16) == 49_152
    assert kv_nbytes(GPT_OSS_20B, 8) == 2 * 24 * 8 * (64 + 2) == 25_344


@pytest.mark.parametrize("name", RECIPES)
def test_the_sizes_we_name_are_those_of_the_layout(name: str) -> None:
    config = GPT_OSS_20B
    hidden, inner, vocab = config.hidden_size, config.intermediate_size, config.vocab_size
    bits = {kind: width for kind, (width, _) in SYNTHETIC[name].items()}
    layer = (
        packed_nbytes(bits["attention"], hidden, 5120)
        + packed_nbytes(bits["attention"], 4096, hidden)
        + 32 * packed_nbytes(bits["gate_up"], hidden, 2 * inner)
        + 32 * packed_nbytes(bits["down"], inner, hidden)
        + 4 * (32 * 2880 + 32 * (5760 + 2880))  # the router, and biases of the experts
    )
    total = 24 * layer + packed_nbytes(bits["head"], hidden, vocab) + 2 * vocab * hidden
    assert RECIPES[name] == pytest.approx(total / GIB, abs=0.06)


def need(weights: float, kv: float = 0.75, workspace: float = 0.75) -> Need:
    """The need of gpt-oss-20b, in GiB; 0.75 GiB are 16,384 tokens."""
    kv_bytes = int(kv * GIB)
    return Need(
        int(weights * GIB), kv_bytes, 49_152, kv_bytes * 66 // 128, workspace=int(workspace * GIB)
    )


@pytest.mark.parametrize(
    ("weights", "free", "total", "cures"),
    [
        (
            13.7,
            15.0,
            15.6,
            [
                "set engine.kv_bits to 8",
                "lower engine.kv_tokens (and engine.context_len, if set) to 11264",
                "end other programs that use the GPU",
                'take gpt-oss-20b in the recipe "native" (11.5 GiB of weights)',
            ],
        ),
        (16.2, 15.5, 15.6, ['take gpt-oss-20b in the recipe "balanced" (13.7 GiB of weights)']),
        (11.5, 11.7, 12.0, ['take gpt-oss-20b in the recipe "small" (9.9 GiB of weights)']),
        (13.7, 7.5, 8.0, ["unset engine.model to use the demo model"]),
    ],
    ids=["a little too large", "too large for 16 GB", "too large for 12 GB", "nothing helps"],
)
def test_what_does_not_fit_says_what_would(
    weights: float, free: float, total: float, cures: list[str]
) -> None:
    with pytest.raises(TooLarge) as caught:
        check_fits(need(weights), int(free * GIB), int(total * GIB))
    assert str(caught.value) == (
        f"The model needs {weights + 1.5:.1f} GiB of video memory (weights {weights} GiB, KV cache"
        f" 0.8 GiB, workspace 0.8 GiB) but {free} GiB of {total} GiB are free: {', or '.join(cures)}."
    )


def test_8_bits_are_no_cure_where_they_do_not_help_or_are_set() -> None:
    large = need(13.7, kv=4.0)
    in_8_bits = dataclasses.replace(large, kv=large.kv_in_8_bits, kv_per_token=25_344)
    check_fits(in_8_bits, in_8_bits.total, 24 * GIB)
    with pytest.raises(TooLarge, match="free: lower engine.kv_tokens"):
        check_fits(in_8_bits, in_8_bits.total - 1, 24 * GIB)
    with pytest.raises(TooLarge, match="free: lower engine.kv_tokens"):
        check_fits(large, in_8_bits.total - 1, 24 * GIB)
    with pytest.raises(TooLarge, match="free: set engine.kv_bits to 8, or lower"):
        check_fits(large, in_8_bits.total, 24 * GIB)


def test_what_fits_is_not_refused() -> None:
    model = need(13.7)
    check_fits(model, model.total, model.total)
    with pytest.raises(TooLarge):
        check_fits(model, model.total - 1, model.total)


def test_the_number_of_tokens_it_names_fits() -> None:
    model = need(13.7)
    fewer = dataclasses.replace(model, kv=11264 * model.kv_per_token)
    check_fits(fewer, 15 * GIB, 16 * GIB)
