"""Published checkpoints are read as transformers reads them, in either layout, and never copied."""

import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from inkling.engine import mxfp4
from inkling.engine.convert.source import Source
from inkling.engine.exl2.names import Linear, Vector
from inkling.engine.mxfp4 import Mxfp4Matrix
from inkling.engine.pick import demo_folder
from tests.published import Layout, quantized, tiny_fields, write_published

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
EXPERTS = "model.layers.1.mlp.experts"
MAPS = Path("/proc/self/maps")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """MXFP4 in three shards, as published."""
    write_published(tmp_path / "model", tiny_fields(), num_shards=3)
    return tmp_path / "model"


@pytest.fixture
def single(tmp_path: Path) -> Path:
    """MXFP4 in one file without an index."""
    write_published(tmp_path / "single", tiny_fields(), num_shards=None)
    return tmp_path / "single"


def linears(source: Source) -> Iterator[Linear]:
    yield source.names.embedding
    if source.names.head is not None:
        yield source.names.head
    for layer in source.names.layers:
        yield from (*layer.qkv, layer.attention_out, layer.router, *layer.gate_up, *layer.down)


def vectors(source: Source) -> Iterator[Vector]:
    yield source.names.norm
    for layer in source.names.layers:
        yield from (layer.input_norm, layer.sinks, layer.post_attention_norm)
        biased = (*layer.qkv, layer.attention_out, layer.router, *layer.gate_up, *layer.down)
        yield from (linear.bias for linear in biased)


def plain(weight: Mxfp4Matrix | Tensor) -> Tensor:
    """fp32 `[in, out]`."""
    return (mxfp4.dequantize(weight) if isinstance(weight, Mxfp4Matrix) else weight).float()


def contents(folder: Path) -> dict[str, Tensor]:
    """All that a checkpoint holds, by name, in fp32; shapes are those of the names."""
    with Source(folder) as source:
        tensors = {linear.name: plain(source.matrix(linear)) for linear in linears(source)}
        for linear in linears(source):
            assert tensors[linear.name].shape == (linear.in_features, linear.out_features)
        for vector in vectors(source):
            tensors[vector.name] = source.vector(vector).float()
            assert tensors[vector.name].shape == (vector.size,)
        return tensors


def is_same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """To the bit, so that -0 differs from 0."""

    def bits(tensor: Tensor) -> Tensor:
        return tensor.contiguous().view(torch.int32)

    return one.keys() == other.keys() and all(
        torch.equal(bits(one[name]), bits(other[name])) for name in one
    )


def as_named(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights of transformers' GptOssForCausalLM as `contents` has them."""
    tensors: dict[str, Tensor] = {}
    for name, tensor in state.items():
        prefix, is_expert, part = name.partition(".experts.")
        for index, one in enumerate(tensor.float()) if is_expert else ():
            expert = f"{prefix}.experts.{index}.{part.removesuffix('_bias')}"
            tensors[f"{expert}.bias" if part.endswith("_bias") else expert] = one
        if not is_expert and tensor.dim() == 2:
            tensors[name.removesuffix(".weight")] = tensor.float().t()
        elif not is_expert:
            tensors[name] = tensor.float()
    return tensors


def load_with_transformers(folder: Path) -> Any:
    """The model in bf16; all of its weights must be in the files, and nothing else."""
    from transformers import GptOssForCausalLM
    from transformers.utils.quantization_config import Mxfp4Config

    is_mxfp4 = "quantization_config" in json.loads((folder / "config.json").read_text())
    loaded: Any = GptOssForCausalLM.from_pretrained(
        folder,
        dtype=torch.bfloat16,
        quantization_config=Mxfp4Config(dequantize=True) if is_mxfp4 else None,
        output_loading_info=True,
    )
    model, report = loaded
    assert not any(report.values())
    return model


@pytest.mark.parametrize("layout", ["mxfp4", "bf16"])
@pytest.mark.parametrize("is_tied", [False, True], ids=["own head", "tied head"])
def test_weights_are_those_that_transformers_loads(
    tmp_path: Path, layout: Layout, is_tied: bool
) -> None:
    write_published(tmp_path, tiny_fields(tie_word_embeddings=is_tied), layout=layout)
    state = load_with_transformers(tmp_path).state_dict()
    if is_tied:
        del state["lm_head.weight"]
    assert is_same(contents(tmp_path), as_named(state))


def test_experts_are_those_of_transformers_own_dequantizer(single: Path) -> None:
    from transformers.integrations.mxfp4 import convert_moe_packed_tensors

    tensors = load_file(single / WEIGHTS)
    got = contents(single)
    for part in ("gate_up_proj", "down_proj"):
        blocks, scales = (tensors[f"{EXPERTS}.{part}_{kind}"] for kind in ("blocks", "scales"))
        want = convert_moe_packed_tensors(blocks, scales, dtype=torch.float32)
        for index, matrix in enumerate(want):
            name = f"{EXPERTS}.{index}.{part}"
            assert is_same({name: got[name]}, {name: matrix})


@pytest.mark.parametrize("layout", ["mxfp4", "bf16"])
@pytest.mark.parametrize("num_shards", [None, 1, 5, 11])
def test_neither_layout_nor_shards_change_a_value(
    folder: Path, tmp_path: Path, layout: Layout, num_shards: int | None
) -> None:
    write_published(tmp_path / "other", tiny_fields(), layout=layout, num_shards=num_shards)
    assert is_same(contents(tmp_path / "other"), contents(folder))


def test_shards_without_their_index(folder: Path) -> None:
    expected = contents(folder)
    (folder / INDEX).unlink()
    assert is_same(contents(folder), expected)


def test_a_seed_is_a_model(folder: Path, tmp_path: Path) -> None:
    write_published(tmp_path / "same", tiny_fields(), seed=0)
    write_published(tmp_path / "other", tiny_fields(), seed=1)
    assert is_same(contents(tmp_path / "same"), contents(folder))
    assert not is_same(contents(tmp_path / "other"), contents(folder))


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_plain_weights_of_other_types_stay_as_they_are(tmp_path: Path, dtype: torch.dtype) -> None:
    write_published(tmp_path, tiny_fields(), layout="bf16", num_shards=None)
    tensors = {name: one.to(dtype) for name, one in load_file(tmp_path / WEIGHTS).items()}
    save_file(tensors, tmp_path / WEIGHTS)
    with Source(tmp_path) as source:
        expert = source.matrix(source.names.layers[0].down[2])
        assert isinstance(expert, Tensor)
        assert expert.dtype == dtype
        assert source.vector(source.names.norm).dtype == dtype


@pytest.mark.filterwarnings("default")  # what transformers says while it saves is its own affair
def test_what_transformers_saves_of_a_loaded_model(folder: Path, tmp_path: Path) -> None:
    """5.23 gives bf16 experts that came from MXFP4 the name of its blocks."""
    load_with_transformers(folder).save_pretrained(tmp_path / "saved")
    assert is_same(contents(tmp_path / "saved"), contents(folder))


def test_facts_of_the_checkpoint(folder: Path) -> None:
    with Source(folder) as source:
        assert [path.name for path in source.paths] == [
            f"model-0000{number}-of-00002.safetensors" for number in range(3)
        ]
        assert source.nbytes == sum(path.stat().st_size for path in source.paths)
        assert source.fields["quantization_config"]["quant_method"] == "mxfp4"
        assert source.config.is_sliding == (True, False)
    index = json.loads((folder / INDEX).read_text())
    assert 0 < source.nbytes - index["metadata"]["total_size"] < 20_000  # headers


def test_a_tokenizer_comes_along(tmp_path: Path) -> None:
    write_published(tmp_path, tiny_fields(), tokenizer_folder=demo_folder())
    assert (tmp_path / "tokenizer.json").read_bytes() == (
        demo_folder() / "tokenizer.json"
    ).read_bytes()


@pytest.mark.parametrize("layout", ["mxfp4", "bf16"])
@pytest.mark.skipif(not MAPS.exists(), reason="needs Linux's list of mappings")
def test_weights_are_mapped_not_copied(tmp_path: Path, layout: Layout) -> None:
    write_published(tmp_path, tiny_fields(), layout=layout, num_shards=None)
    with Source(tmp_path) as source:
        layer = source.names.layers[0]
        for linear in (source.names.embedding, layer.router, layer.gate_up[3], layer.down[1]):
            weight = source.matrix(linear)
            parts = (weight.blocks, weight.scales) if isinstance(weight, Mxfp4Matrix) else (weight,)
            for part in parts:
                assert mapped_file(part.data_ptr()) == str(tmp_path / WEIGHTS)


def mapped_file(address: int) -> str:
    for line in MAPS.read_text().splitlines():
        extent, *_, path = line.split(maxsplit=5)
        start, end = (int(part, 16) for part in extent.split("-"))
        if start <= address < end:
            return path
    return ""


def test_threads_read_at_once(folder: Path) -> None:
    with Source(folder) as source, ThreadPoolExecutor(4) as pool:
        todo = [*linears(source)] * 8
        matrices = list(pool.map(lambda linear: plain(source.matrix(linear)), todo))
        read = {linear.name: matrix for linear, matrix in zip(todo, matrices, strict=True)}
        expected = {linear.name: plain(source.matrix(linear)) for linear in linears(source)}
    assert is_same(read, expected)


def test_tensors_outlive_the_source(folder: Path) -> None:
    with Source(folder) as source:
        embedding = source.matrix(source.names.embedding)
    shutil.rmtree(folder)
    assert torch.isfinite(plain(embedding)).all()


def test_synthetic_values_of_mxfp4_stay_what_they_are() -> None:
    """Quantizing what has been quantized gives the same codes: they are the nearest."""
    weights = torch.randn(24, 96, generator=torch.Generator().manual_seed(0)) * 0.03
    codes, exponents = quantized(weights)
    values = torch.tensor(mxfp4.E2M1)[codes.int()].view(24, 3, 32)
    values = torch.ldexp(values, exponents[..., None]).view(24, 96)
    again, same = quantized(values)
    assert torch.equal(same, exponents)
    assert torch.equal(again[values != 0], codes[values != 0])  # a zero has lost its sign
    # Half a step of the largest values, which are cut off at 6 below 8.
    steps = torch.exp2(exponents.float()).repeat_interleave(32, 1)
    assert ((values - weights).abs() <= 2 * steps).all()
    assert ((values - weights).abs() / steps).mean() < 0.3
