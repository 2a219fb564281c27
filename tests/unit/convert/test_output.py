"""The folder that is written: what is kept after a kill, and what is refused."""

import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from torch import Tensor

from inkling.engine.convert.output import JOURNAL, Output, OutputError
from inkling.engine.convert.plan import Item, Plan, make_plan
from inkling.engine.convert.recipe import load_recipe
from inkling.engine.exl2.names import model_names
from inkling.engine.model.config import GptOssConfig
from tests.published import tiny_fields

IDENTITY = {"inkling": "1", "source": {"a": "b"}}
PLAN = make_plan(
    model_names(GptOssConfig.from_fields(tiny_fields(), Path("config.json"))), load_recipe("small")
)
TYPES = {"I32": torch.int32, "F16": torch.float16, "I16": torch.int16, "U8": torch.uint8}


def random_tensors(plan: Plan, item: Item) -> dict[str, Tensor]:
    """Bytes that are the same each time."""
    generator = torch.Generator().manual_seed(sum(map(ord, item.name)))
    tensors = {}
    for name in plan.names(item):
        place = plan.places[name]
        data = torch.randint(0, 256, (place.nbytes,), generator=generator, dtype=torch.uint8)
        tensors[name] = data.view(TYPES[place.dtype]).view(place.shape)
    return tensors


def write_all(folder: Path, items: list[Item]) -> None:
    with Output(folder, PLAN, IDENTITY) as output:
        for item in items:
            if item.name not in output.done:
                output.write(item, random_tensors(PLAN, item), {"error": 0.5})


def finish(folder: Path) -> dict[str, bytes]:
    with Output(folder, PLAN, IDENTITY) as output:
        output.finish({"a": 1}, {"items": dict(output.done)}, [])
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a conversion that was never stopped."""
    folder = tmp_path_factory.mktemp("whole") / "out"
    write_all(folder, list(PLAN.items))
    return finish(folder)


def test_safetensors_reads_what_was_planned(tmp_path: Path, whole: dict[str, bytes]) -> None:
    assert JOURNAL not in whole
    found: dict[str, Any] = {}
    for name in (name for name in whole if name.endswith(".safetensors")):
        (tmp_path / name).write_bytes(whole[name])
        with safe_open(tmp_path / name, "pt") as file:
            found |= {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            assert file.metadata()["inkling.recipe"] == "small"
    assert set(found) == set(PLAN.places)
    assert set(json.loads(whole["model.safetensors.index.json"])["weight_map"]) == set(found)
    for item in PLAN.items:
        for name, tensor in random_tensors(PLAN, item).items():
            assert torch.equal(found[name].view(torch.uint8), tensor.view(torch.uint8))


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**32), data=st.data())
def test_after_any_kill_the_result_is_the_same(
    tmp_path_factory: pytest.TempPathFactory,
    whole: dict[str, bytes],
    seed: int,
    data: st.DataObject,
) -> None:
    """Killed after some items, in whatever order, with a line of the journal half written, and with
    bytes of a finished item that never reached the disk."""
    folder = tmp_path_factory.mktemp("killed") / "out"
    items = random.Random(seed).sample(PLAN.items, len(PLAN.items))
    num_written = data.draw(st.integers(0, len(items)))
    write_all(folder, items[:num_written])
    journal = folder.with_name("out.part") / JOURNAL
    text = journal.read_bytes()
    journal.write_bytes(text[: data.draw(st.integers(0, len(text)))])
    for shard in PLAN.shards:
        if data.draw(st.booleans()):
            path = folder.with_name("out.part") / shard.name
            damaged = bytearray(path.read_bytes())
            at = data.draw(st.integers(0, len(damaged) - 1))
            damaged[at] ^= 255
            path.write_bytes(damaged)
    write_all(folder, list(PLAN.items))
    result = finish(folder)
    assert result == whole
    shutil.rmtree(folder)


def test_shards_of_another_length_are_made_right(tmp_path: Path, whole: dict[str, bytes]) -> None:
    """As a conversion by another recipe leaves them that was killed before its journal was flushed."""
    part = tmp_path / "out.part"
    part.mkdir()
    for shard in PLAN.shards:
        (part / shard.name).write_bytes(bytes(shard.nbytes + 1000))
    write_all(tmp_path / "out", list(PLAN.items))
    assert finish(tmp_path / "out") == whole


def test_a_failed_finish_loses_nothing(
    tmp_path: Path, whole: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_all(tmp_path / "out", list(PLAN.items))

    def refuse(path: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(OutputError, match="No space left on device"):
        finish(tmp_path / "out")
    monkeypatch.undo()
    with Output(tmp_path / "out", PLAN, IDENTITY) as output:
        assert len(output.done) == len(PLAN.items)
    assert finish(tmp_path / "out") == whole


def test_what_is_there_is_read_back(tmp_path: Path) -> None:
    item = PLAN.items[3]
    with Output(tmp_path / "out", PLAN, IDENTITY) as output:
        assert output.read(item) is None
        tensors = random_tensors(PLAN, item)
        output.write(item, tensors, {})
        read = output.read(item)
        assert read is not None
        assert all(
            torch.equal(read[name].view(torch.uint8), tensors[name].view(torch.uint8))
            for name in tensors
        )


def test_another_source_or_recipe_does_not_go_on_there(tmp_path: Path) -> None:
    write_all(tmp_path / "out", [PLAN.items[0]])
    with pytest.raises(OutputError, match="was begun with another source, recipe or version"):
        Output(tmp_path / "out", PLAN, {**IDENTITY, "source": {"a": "c"}})


def test_two_at_once(tmp_path: Path) -> None:
    with (
        Output(tmp_path / "out", PLAN, IDENTITY),
        pytest.raises(OutputError, match="Another conversion writes"),
    ):
        Output(tmp_path / "out", PLAN, IDENTITY)


def test_an_output_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    write_all(tmp_path / "out", list(PLAN.items))  # an empty folder is no obstacle
    finish(tmp_path / "out")
    with pytest.raises(OutputError, match="is there already"):
        Output(tmp_path / "out", PLAN, IDENTITY)


def test_too_small_a_disk_is_told_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1 << 20))
    with pytest.raises(OutputError, match=r"needs 0\.1 GB more but its disk has 0\.0 GB free"):
        Output(tmp_path / "out", PLAN, IDENTITY)
    assert [path.name for path in (tmp_path / "out.part").iterdir()] == [JOURNAL]


def test_other_tensors_than_planned_are_a_mistake(tmp_path: Path) -> None:
    item = PLAN.items[0]
    with Output(tmp_path / "out", PLAN, IDENTITY) as output:
        tensors = random_tensors(PLAN, item)
        name = next(iter(tensors))
        with pytest.raises(ValueError, match="was not planned"):
            output.write(item, {**tensors, "more": tensors[name]}, {})
        with pytest.raises(ValueError, match="was not planned"):
            output.write(item, {**tensors, name: tensors[name].double()}, {})
