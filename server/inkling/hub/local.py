"""The models folder: where it is, and what each checkpoint in it is. Reads JSON, never weights."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from platformdirs import user_data_path

from inkling.errors import CheckpointError

DEMO = "demo"
STUB = "stub"
# The end of a folder's name while its files are not whole.
PART = ".part"

_INDEX = "model.safetensors.index.json"
_DTYPES = {"bfloat16": "bf16", "float16": "fp16", "float32": "fp32"}


@dataclass(frozen=True)
class Form:
    """How a checkpoint's weights are stored. `is_exl2`: the engine serves it; else it can be
    converted."""

    is_exl2: bool
    words: str


@dataclass(frozen=True)
class Entry:
    """One line of `inkling model list`. `name` is what `inkling model use` takes."""

    name: str
    nbytes: int
    words: str
    is_chosen: bool


def models_folder() -> Path:
    """Where pulled checkpoints lie, in the platform's data folder."""
    return user_data_path("inkling") / "models"


def folder_name(repo: str, revision: str | None) -> str:
    """`ORG--NAME`, or `ORG--NAME@REVISION`: branches of a repository are other checkpoints."""
    name = repo if revision is None else f"{repo}@{revision}"
    return name.replace("/", "--")


def find(name: str, models: Path) -> Path:
    """The folder that is meant: by its name in the models folder, as ORG/NAME, or by a path.

    Raises CheckpointError when there is none.
    """
    pulled, given = models / name.replace("/", "--"), Path(name).expanduser()
    if not name.startswith(".") and pulled.is_dir():
        return pulled.resolve()
    if given.is_dir():
        return given.resolve()
    raise CheckpointError(
        f"There is no model {name}: take a name that `inkling model list` gives, or the folder of a"
        " checkpoint."
    )


def read_form(folder: Path) -> Form:
    """What `config.json` says of the weights.

    Raises CheckpointError when it cannot be read or is not of a checkpoint that is of use here.
    """
    path = folder / "config.json"
    fields = _read(path)
    names = fields.get("architectures") or []
    names = names if isinstance(names, list) else [names]
    if "GptOssForCausalLM" not in names and (names or fields.get("model_type") != "gpt_oss"):
        found = ", ".join(map(str, names)) or fields.get("model_type") or "no architecture"
        raise CheckpointError(
            f"{path} describes {found}, but only gpt-oss can be run: choose a gpt-oss checkpoint."
        )
    note = fields.get("quantization_config")
    if not note:
        dtype = str(fields.get("dtype") or fields.get("torch_dtype"))
        return Form(is_exl2=False, words=_DTYPES.get(dtype, "unquantized"))
    method = note.get("quant_method") if isinstance(note, dict) else note
    if method == "exl2":
        return Form(is_exl2=True, words=_exl2_words(note))
    if method == "mxfp4":
        return Form(is_exl2=False, words="MXFP4")
    raise CheckpointError(
        f"{path} describes weights quantized as {method}, which are neither served nor converted:"
        " choose gpt-oss as published (openai/gpt-oss-20b), or in EXL2."
    )


def check_whole(folder: Path) -> None:
    """Raise CheckpointError when files are missing that serving or converting needs."""
    if folder.name.endswith(PART):
        raise CheckpointError(
            f"{folder} is not whole yet: run the pull or the conversion again that makes it; it"
            " goes on where it stopped."
        )
    for name in ("config.json", "tokenizer.json", *_weight_files(folder)):
        if not (folder / name).is_file():
            raise CheckpointError(f"{folder} lacks {name}: pull or convert the checkpoint again.")


def entries(models: Path, chosen: str | None) -> Iterator[Entry]:
    """The demo model, all of the models folder, and what the settings choose if it is elsewhere.

    `chosen` is engine.model.
    """
    demo = Path(str(files("inkling.models").joinpath("demo")))
    yield Entry(DEMO, _size(demo), "the demo model, comes with Inkling", chosen is None)
    if chosen == STUB:
        yield Entry(STUB, 0, "canned text, no model", is_chosen=True)
        chosen = None
    outside = Path(chosen).expanduser().resolve() if chosen else None
    folders = sorted(path for path in models.iterdir() if path.is_dir()) if models.is_dir() else []
    for folder in folders:
        is_chosen = folder.resolve() == outside
        if is_chosen:
            outside = None
        yield Entry(folder.name, _size(folder), _words(folder), is_chosen)
    if outside is not None:
        yield Entry(str(outside), _size(outside), _words(outside), is_chosen=True)


def _words(folder: Path) -> str:
    if folder.name.endswith(PART):
        return "not whole: the same pull or conversion goes on"
    try:
        form = read_form(folder)
        check_whole(folder)
    except CheckpointError as error:
        return f"broken: {error}"
    return form.words if form.is_exl2 else f"{form.words}, as published: convert it to serve it"


def _exl2_words(note: dict[str, Any]) -> str:
    """Our recipes have a name; exllamav2 notes the bits of a weight on average."""
    recipe, bits = note.get("recipe"), note.get("bits")
    if isinstance(recipe, str):
        return f"EXL2, recipe {recipe}"
    return f"EXL2, {bits:g} bits" if isinstance(bits, int | float) else "EXL2"


def _weight_files(folder: Path) -> list[str]:
    index = folder / _INDEX
    if index.is_file():
        weight_map = _read(index).get("weight_map")
        if not isinstance(weight_map, dict):
            raise CheckpointError(f"{index} is no index of files: pull or convert it again.")
        return sorted({str(name) for name in weight_map.values()})
    return sorted(path.name for path in folder.glob("*.safetensors")) or ["model.safetensors"]


def _read(path: Path) -> dict[str, Any]:
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CheckpointError(
            f"{path} cannot be read ({error.strerror}): give the folder of a whole checkpoint."
        ) from error
    except ValueError as error:
        raise CheckpointError(f"{path} is not JSON ({error}): copy it again.") from error
    if not isinstance(fields, dict):
        raise CheckpointError(f"{path} holds no JSON object: copy it again.")
    return fields


def _size(folder: Path) -> int:
    nbytes = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # a pull that runs renames its files
            nbytes += path.stat().st_size if path.is_file() else 0
    return nbytes
