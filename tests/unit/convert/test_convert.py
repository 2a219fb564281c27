"""Whole conversions of tiny published checkpoints, every recipe."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers.integrations.mxfp4 import convert_moe_packed_tensors

from inkling.engine import mxfp4
from inkling.engine.convert.facts import read_facts, read_report
from inkling.engine.convert.output import REPORT, Output, OutputError
from inkling.engine.convert.source import Source
from inkling.engine.convert.verify import VerifyError, verify
from inkling.engine.exl2 import load_checkpoint
from inkling.engine.exl2.dequant import dequantize
from inkling.engine.exl2.format import Exl2Matrix
from inkling.engine.exl2.names import model_names
from inkling.engine.exl2.reading import read_matrix
from inkling.engine.exl2.tensors import TensorFiles
from inkling.engine.model.config import GptOssConfig
from inkling.engine.mxfp4 import Mxfp4Matrix
from inkling.errors import CheckpointError
from tests.unit.convert.conversion import CPU, convert_quietly, publish

RECIPES = ("balanced", "exact", "native", "small")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish(tmp_path_factory.mktemp("published") / "gpt-oss")


@pytest.fixture(scope="module")
def converted(source: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("converted")
    return {recipe: convert_quietly(source, folder / recipe, recipe) for recipe in RECIPES}


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def same(done: float, total: float) -> None:
    """Watches nothing."""


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_reference_runs_it(converted: dict[str, Path], recipe: str) -> None:
    model = load_checkpoint(converted[recipe])
    logits = model.forward(list(range(20)), 0, [0, 1], model.new_kv(2, 16), 20)
    assert bool(logits.isfinite().all())


def test_exact_has_the_experts_of_transformers_own_dequantizer(
    source: Path, converted: dict[str, Path]
) -> None:
    layers = model_names(GptOssConfig.from_json(source / "config.json")).layers
    with TensorFiles(source) as published, TensorFiles(converted["exact"]) as files:
        for index, layer in enumerate(layers):
            for part, linears in (("gate_up_proj", layer.gate_up), ("down_proj", layer.down)):
                name = f"model.layers.{index}.mlp.experts.{part}"
                blocks, scales = (published.read(f"{name}_{of}") for of in ("blocks", "scales"))
                want = convert_moe_packed_tensors(blocks, scales)
                for expert, linear in enumerate(linears):
                    matrix = read_matrix(files, linear)
                    assert isinstance(matrix, Exl2Matrix)
                    assert torch.equal(dequantize(matrix).float(), want[expert].float())
    facts = read_facts(converted["exact"])
    assert sum(fact.inexact_blocks or 0 for fact in facts) == 0
    assert {fact.error for fact in facts if fact.kind in ("gate_up", "down")} == {0.0}


@pytest.mark.parametrize(
    ("recipe", "kind", "form", "largest"),
    [
        ("balanced", "gate_up", "EXL2 5-bit g32", 0.025),
        ("balanced", "down", "EXL2 5-bit g32", 0.025),
        ("balanced", "attention", "EXL2 6-bit g32", 0.03),
        ("exact", "attention", "EXL2 8-bit g32", 0.01),
        ("exact", "head", "EXL2 8-bit g32", 0.01),
        ("native", "down", "MXFP4", 0.0),
        ("small", "down", "EXL2 4-bit g64", 0.2),
        ("small", "gate_up", "EXL2 3-bit g64", 0.4),
        ("small", "embedding", "fp16", 1e-9),
    ],
)
def test_how_kinds_are_stored_and_how_far_they_are_off(
    converted: dict[str, Path], recipe: str, kind: str, form: str, largest: float
) -> None:
    of_kind = [fact for fact in read_facts(converted[recipe]) if fact.kind == kind]
    assert {fact.form for fact in of_kind} == {form}
    errors = [fact.error for fact in of_kind if fact.error is not None]
    assert len(errors) == len(of_kind)
    assert max(errors) <= largest


def test_what_is_noted_is_what_decodes(source: Path, converted: dict[str, Path]) -> None:
    """The error of each expert's down, computed here from the files alone."""
    facts = {fact.name: fact for fact in read_facts(converted["small"])}
    with Source(source) as published, TensorFiles(converted["small"]) as files:
        for linear in (linear for layer in published.names.layers for linear in layer.down):
            matrix, weight = read_matrix(files, linear), published.matrix(linear)
            assert isinstance(matrix, Exl2Matrix)
            assert isinstance(weight, Mxfp4Matrix)
            want = mxfp4.dequantize(weight)
            error = (dequantize(matrix).float() - want).norm() / want.norm()
            assert facts[linear.name].error == pytest.approx(float(error), rel=1e-3)


def test_metadata(source: Path, converted: dict[str, Path]) -> None:
    config = json.loads((converted["balanced"] / "config.json").read_text())
    published = json.loads((source / "config.json").read_text())
    note = config.pop("quantization_config")
    published.pop("quantization_config")
    assert config == published
    assert note["quant_method"] == "exl2"
    assert note["recipe"] == "balanced"
    assert note["layers"]["down"] == {"method": "structured", "bits": 5, "group": 32}
    report = read_report(converted["balanced"])
    assert sorted(report["source"]) == sorted(path.name for path in source.glob("*.safetensors"))
    assert all(len(digest) == 64 for digest in report["source"].values())
    tokenizer = "tokenizer.json"
    assert (converted["balanced"] / tokenizer).read_bytes() == (source / tokenizer).read_bytes()


@pytest.mark.parametrize("num_shards", [None, 1, 3])
def test_the_same_weights_in_bf16_come_to_the_same(
    tmp_path: Path, converted: dict[str, Path], num_shards: int | None
) -> None:
    """MXFP4's values are recognised in any floating-point checkpoint."""
    source = publish(tmp_path / "bf16", "bf16", num_shards)
    for recipe in ("balanced", "exact", "native"):
        files = files_of(convert_quietly(source, tmp_path / recipe, recipe))
        want = files_of(converted[recipe])
        for name in want:
            if name.endswith(".safetensors"):
                assert files[name] == want[name]


def test_other_values_than_mxfp4s_are_rounded_and_counted(tmp_path: Path) -> None:
    source = publish(tmp_path / "tuned", "bf16", None)
    _edit(
        source, lambda name, tensor: tensor * 1.01 if name.endswith("experts.down_proj") else tensor
    )
    out = convert_quietly(source, tmp_path / "exact", "exact")
    down = [fact for fact in read_facts(out) if fact.kind == "down"]
    assert all(fact.inexact_blocks == fact.blocks for fact in down)
    assert all(0 < (fact.error or 0) < 0.03 for fact in down)
    with pytest.raises(CheckpointError, match=r"down_proj holds other values than MXFP4 has"):
        convert_quietly(source, tmp_path / "native", "native")
    assert not (tmp_path / "native").exists()


def _edit(folder: Path, change: Any) -> None:
    path = folder / "model.safetensors"
    tensors = {name: change(name, tensor).contiguous() for name, tensor in load_file(path).items()}
    save_file(tensors, path)


@pytest.mark.parametrize("recipe", ["balanced", "small"])
def test_stopped_after_any_item_it_comes_to_the_same(
    tmp_path: Path,
    source: Path,
    converted: dict[str, Path],
    recipe: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write = Output.write
    for limit in (0, 1, 7, 11):
        left = limit

        def stop(self: Output, *arguments: Any) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise KeyboardInterrupt
            write(self, *arguments)

        monkeypatch.setattr(Output, "write", stop)
        with pytest.raises(KeyboardInterrupt):
            convert_quietly(source, tmp_path / "out", recipe)
        assert not (tmp_path / "out").exists()
        monkeypatch.undo()
    assert files_of(convert_quietly(source, tmp_path / "out", recipe)) == files_of(
        converted[recipe]
    )


@pytest.mark.parametrize("recipe", RECIPES)
def test_verify_agrees(source: Path, converted: dict[str, Path], recipe: str) -> None:
    verify(source, converted[recipe], CPU, checking=same, verifying=same)


def test_verify_finds_one_bit(tmp_path: Path, source: Path) -> None:
    out = convert_quietly(source, tmp_path / "out", "balanced")
    path = max(out.glob("*.safetensors"), key=lambda path: path.name)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 16
    path.write_bytes(data)
    with pytest.raises(VerifyError, match=r"is not what was written: the disk is at fault"):
        verify(source, out, CPU, checking=same, verifying=same)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "norm"])
def test_verify_finds_what_is_no_matrix(tmp_path: Path, source: Path, name: str) -> None:
    out = convert_quietly(source, tmp_path / "out", "native")
    if name == "norm":
        path = out / "model-00001-of-00003.safetensors"
        tensors = load_file(path)
        tensors["model.norm.weight"].zero_()
        save_file(tensors, path)
    else:
        (out / name).write_text(
            "{}" if name == "tokenizer.json" else (out / name).read_text() + " "
        )
    with pytest.raises(VerifyError, match=f"{name} is not what was written"):
        verify(source, out, CPU, checking=same, verifying=same)


def test_verify_wants_the_source_it_was_made_from(
    tmp_path: Path, converted: dict[str, Path]
) -> None:
    other = publish(tmp_path / "other", num_experts_per_tok=2, num_shards=3)
    with pytest.raises(VerifyError, match="was made from other files"):
        verify(other, converted["balanced"], CPU, checking=same, verifying=same)
    (converted["native"] / REPORT).rename(tmp_path / REPORT)
    with pytest.raises(VerifyError, match="has no report of a conversion"):
        verify(other, converted["native"], CPU, checking=same, verifying=same)
    (tmp_path / REPORT).rename(converted["native"] / REPORT)


def test_a_source_without_tokenizer(tmp_path: Path) -> None:
    source = publish(tmp_path / "source")
    (source / "tokenizer.json").unlink()
    with pytest.raises(CheckpointError, match=r"lacks tokenizer\.json"):
        convert_quietly(source, tmp_path / "out", "exact")
    assert not (tmp_path / "out.part").exists()


def test_a_folder_that_cannot_be_made(tmp_path: Path, source: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        convert_quietly(source, tmp_path / "file" / "out", "exact")


def test_weights_beyond_fp16(tmp_path: Path) -> None:
    source = publish(tmp_path / "large", "bf16", None)
    _edit(
        source,
        lambda name, tensor: tensor.float() * 1e7 if name == "model.norm.weight" else tensor,
    )
    with pytest.raises(CheckpointError, match=r"model\.norm\.weight holds values beyond fp16"):
        convert_quietly(source, tmp_path / "out", "exact")
    assert not (tmp_path / "out").exists()
