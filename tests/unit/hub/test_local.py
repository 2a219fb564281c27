"""What the list says of each folder, and which of them the engine may be given."""

import json
from pathlib import Path

import pytest

from inkling.errors import CheckpointError
from inkling.hub.local import Entry, check_whole, entries, find, folder_name, read_form
from tests.checkpoints import WANTED, exl2, published
from tests.hub_server import Repository
from tests.unit.test_imports import HEAVY, modules_after


def lay(folder: Path, repository: Repository) -> Path:
    """A pulled repository."""
    folder.mkdir(parents=True)
    for name in WANTED:
        (folder / name).write_bytes(repository.files[name])
    return folder


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({}, "MXFP4"),
        ({"quantization_config": None, "torch_dtype": "bfloat16"}, "bf16"),
        ({"quantization_config": None, "dtype": "bfloat16"}, "bf16"),
        (
            {"quantization_config": {"quant_method": "exl2", "recipe": "small"}},
            "EXL2, recipe small",
        ),
        ({"quantization_config": {"quant_method": "exl2", "bits": 5.0}}, "EXL2, 5 bits"),
        ({"quantization_config": {"quant_method": "exl2", "recipe": {"head": [6, 32]}}}, "EXL2"),
    ],
)
def test_the_config_says_how_weights_are_stored(
    tmp_path: Path, config: dict[str, object], words: str
) -> None:
    form = read_form(lay(tmp_path / "m", published(**config)))
    assert form.words == words
    assert form.is_exl2 == words.startswith("EXL2")


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ('{"architectures": ["LlamaForCausalLM"]}', "describes LlamaForCausalLM, but only gpt-oss"),
        ('{"architectures": 5}', "describes 5, but only gpt-oss can be run"),
        ('{"architectures": "Llama"}', "describes Llama, but only gpt-oss can be run"),
        ("{}", "describes no architecture, but only gpt-oss can be run"),
        ("[]", "holds no JSON object: copy it again"),
        ("{", "is not JSON (.*): copy it again"),
        (
            '{"model_type": "gpt_oss", "quantization_config": {"quant_method": "awq"}}',
            "quantized as awq, which are neither served nor converted: choose",
        ),
    ],
)
def test_a_config_of_no_use_is_one_sentence(tmp_path: Path, config: str, sentence: str) -> None:
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(CheckpointError, match=sentence):
        read_form(tmp_path)


@pytest.mark.parametrize(
    "name", ["config.json", "tokenizer.json", "model-00001-of-00002.safetensors"]
)
def test_a_missing_file_makes_it_broken(tmp_path: Path, name: str) -> None:
    folder = lay(tmp_path / "m", exl2())
    check_whole(folder)
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match=f"lacks {name}: pull or convert"):
        check_whole(folder)


def test_an_index_of_anything_else_is_one_sentence(tmp_path: Path) -> None:
    folder = lay(tmp_path / "m", exl2())
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": ["b"]}}')
    with pytest.raises(CheckpointError, match="lacks .*b.*: pull or convert"):
        check_whole(folder)


def test_without_an_index_any_weights_do(tmp_path: Path) -> None:
    folder = lay(tmp_path / "m", exl2())
    (folder / "model.safetensors.index.json").unlink()
    check_whole(folder)
    for path in folder.glob("*.safetensors"):
        path.unlink()
    with pytest.raises(CheckpointError, match="lacks model.safetensors"):
        check_whole(folder)


def test_the_list_has_all_of_the_folder_and_marks_the_chosen_one(tmp_path: Path) -> None:
    models = tmp_path / "models"
    lay(models / "acme--exl2", exl2())
    lay(models / "acme--mxfp4", published())
    lay(models / "acme--begun.part", published())
    (models / "broken").mkdir()
    (models / "a file").write_text("")
    listed = list(entries(models, str(models / "acme--exl2")))
    nbytes = sum(len(exl2().files[name]) for name in WANTED)
    assert [(entry.name, entry.is_chosen) for entry in listed] == [
        ("demo", False),
        ("acme--begun.part", False),
        ("acme--exl2", True),
        ("acme--mxfp4", False),
        ("broken", False),
    ]
    assert listed[2] == Entry("acme--exl2", nbytes, "EXL2, recipe balanced", is_chosen=True)
    assert listed[1].words == "not whole: the same pull or conversion goes on"
    assert listed[3].words == "MXFP4, as published: convert it to serve it"
    assert listed[4].words.startswith(f"broken: {models}/broken/config.json cannot be read")


def test_a_chosen_folder_elsewhere_is_listed_too(tmp_path: Path) -> None:
    elsewhere = lay(tmp_path / "mine", exl2("exact"))
    *_, last = entries(tmp_path / "models", str(elsewhere))
    assert (last.name, last.words, last.is_chosen) == (
        str(elsewhere),
        "EXL2, recipe exact",
        True,
    )
    *_, gone = entries(tmp_path / "models", str(tmp_path / "gone"))
    assert gone.words.startswith("broken: ")
    assert gone.is_chosen


@pytest.mark.parametrize(("chosen", "name"), [(None, "demo"), ("stub", "stub")])
def test_what_is_no_folder_can_be_chosen(tmp_path: Path, chosen: str | None, name: str) -> None:
    [entry] = [entry for entry in entries(tmp_path, chosen) if entry.is_chosen]
    assert entry.name == name


def test_a_model_is_found_by_its_name_its_repository_or_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = tmp_path / "models"
    pulled = lay(models / folder_name("acme/tiny", None), exl2())
    branch = lay(models / folder_name("acme/tiny", "5.0bpw"), exl2())
    other = lay(tmp_path / "here", exl2())
    monkeypatch.chdir(tmp_path)
    assert find("acme--tiny", models) == find("acme/tiny", models) == pulled
    assert find("acme/tiny@5.0bpw", models) == branch
    assert find("here", models) == find(str(other), models) == find("./here", models) == other
    with pytest.raises(CheckpointError, match="There is no model acme/tin: take a name that"):
        find("acme/tin", models)
    for name in (".", ".."):
        assert find(name, models) == Path(name).resolve()


def test_an_index_that_is_none_is_one_sentence(tmp_path: Path) -> None:
    folder = lay(tmp_path / "m", exl2())
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weights": 3}))
    with pytest.raises(CheckpointError, match="is no index of files: pull or convert it again"):
        check_whole(folder)


def test_only_pull_loads_the_hubs_library_and_nothing_loads_torch() -> None:
    local = "inkling.model_commands, inkling.hub.local, inkling.hub.choice"
    assert not modules_after(f"import {local}").intersection({*HEAVY, "huggingface_hub", "httpx2"})
    assert not modules_after("import inkling.hub.pull").intersection(HEAVY)
