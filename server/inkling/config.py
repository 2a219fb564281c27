"""Settings, as pydantic models. This module is the only reader of TOML, environment and editor options."""

import difflib
import reprlib
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError


def _number(value: object) -> object:
    """What the environment gives is text, which a Literal of numbers would not take."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value


class EngineSettings(BaseModel):
    """Which model runs where. Machine-wide: a workspace file cannot set these."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: Annotated[
        str | None,
        Field(description="Folder of an EXL2 checkpoint; unset: the demo model; 'stub': no model."),
    ] = None
    device: Annotated[
        Literal["auto", "cuda", "cpu"],
        Field(description="'auto': CUDA where there is one. A configured model needs it or 'cpu'."),
    ] = "auto"
    backend: Annotated[
        Literal["fused", "exllamav2"],
        Field(description="What multiplies on a GPU: our kernels, or exllamav2's slower ones."),
    ] = "fused"
    transport: Annotated[
        Literal["unix", "tcp"],
        Field(description="A unix socket only you can open, or loopback TCP with a random token."),
    ] = "unix"
    port: Annotated[int, Field(ge=0, le=65535, description="TCP port; 0 takes a free one.")] = 0
    idle_minutes: Annotated[
        float, Field(gt=0, description="The engine ends after this long without a request.")
    ] = 30.0
    context_len: Annotated[
        int | None,
        Field(
            ge=64,
            description="Longest prompt + completion in tokens; unset: kv_tokens; demo on CPU: 1280.",
        ),
    ] = None
    kv_tokens: Annotated[
        int,
        Field(
            ge=1024,
            le=1 << 22,  # of more, kernels/cache.cuh could not count the elements
            description="Tokens of KV cache kept for reuse, over all prompts.",
        ),
    ] = 16_384
    kv_bits: Annotated[
        Literal[16, 8],
        BeforeValidator(_number),
        Field(description="Bits of a number in the KV cache; 8 takes half the memory and rounds."),
    ] = 16


class Settings(BaseModel):
    """All settings of one server. Every field has a default that works."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: Annotated[bool, Field(description="Complete at all.")] = True
    disabled_languages: Annotated[
        tuple[str, ...], Field(description="LSP language ids to leave alone.")
    ] = ()
    max_file_kb: Annotated[
        int, Field(ge=1, description="Larger documents are not completed (KiB of text).")
    ] = 2048
    debounce_ms: Annotated[
        int, Field(ge=0, le=2000, description="Wait after a key before asking the engine.")
    ] = 0
    prompt_tokens: Annotated[
        int, Field(ge=128, description="Token budget of a prompt; the model's context caps it.")
    ] = 4096
    related_code: Annotated[bool, Field(description="Let code of other files into the prompt.")] = (
        True
    )
    line_tokens: Annotated[
        int, Field(ge=1, le=512, description="Most tokens of a completion that ends with its line.")
    ] = 48
    block_tokens: Annotated[
        int,
        Field(
            ge=1,
            le=4096,
            description="Most tokens of a block, or of a statement over several lines.",
        ),
    ] = 160
    function_tokens: Annotated[
        int, Field(ge=1, le=4096, description="Most tokens of a function that is described.")
    ] = 512
    reasoning_tokens: Annotated[
        int, Field(ge=0, le=4096, description="Most tokens of reasoning before such; 0: none.")
    ] = 256
    min_confidence: Annotated[
        float, Field(ge=0, lt=1, description="Hide lines of a lower mean probability a token.")
    ] = 0.0
    prefetch: Annotated[
        bool, Field(description="Write ahead what comes after accepting, while nothing else is.")
    ] = True
    engine: EngineSettings = EngineSettings()


def user_config_file() -> Path:
    """Where a user's own settings live (`config.toml` in the platform's config folder)."""
    from platformdirs import user_config_path

    return user_config_path("inkling") / "config.toml"


_ENVIRONMENT_PREFIX = "INKLING_"
# Variables of this prefix that are no settings.
_OTHER_VARIABLES = frozenset({"INKLING_RUNTIME_DIR"})


class _Setting(NamedTuple):
    """One setting as a source gives it."""

    path: tuple[str, ...]
    value: Any

    @property
    def key(self) -> str:
        return ".".join(self.path)

    @property
    def tables(self) -> dict[str, Any]:
        """The setting alone, as the models take it."""
        value = self.value
        for name in reversed(self.path):
            value = {name: value}
        return dict(value)


def load_settings(
    user_file: Path,
    workspace_root: Path | None,
    environ: Mapping[str, str],
    editor_options: object,
) -> tuple[Settings, list[str]]:
    """The settings of all sources, and one sentence for each thing that is wrong in them.

    By rising weight: defaults, the user's file, the workspace's `.inkling/config.toml`, the
    environment (`INKLING_ENGINE__MODEL`), the editor's options (an object like the files, where
    null means unset; None: no editor). A bad value leaves the next lighter source's in force.
    """
    problems: list[str] = []
    sources = [(str(user_file), list(_settings_in(_read_toml(user_file, problems))))]
    if workspace_root is not None:
        file = workspace_root / ".inkling" / "config.toml"
        tables = _read_toml(file, problems)
        if tables.pop("engine", None) is not None:
            # A cloned repository must not choose where code is sent or what is loaded.
            problems.append(
                f"{file}: engine settings are ignored in a workspace; put them in {user_file}."
            )
        sources.append((str(file), list(_settings_in(tables))))
    sources.append(("environment", list(_settings_in_environment(environ))))
    if isinstance(editor_options, Mapping):
        sources.append(("editor options", list(_settings_in(editor_options))))
    elif editor_options is not None:
        problems.append("editor options: the settings must be an object; they are ignored.")

    settings = Settings()
    for name, given in sources:
        for setting in given:
            if problem := _problem_with(setting, settings):
                problems.append(f"{name}: {problem}")
            else:
                settings = _with(settings, setting)
    return settings, problems


def _read_toml(file: Path, problems: list[str]) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except tomllib.TOMLDecodeError as error:
        problems.append(f"{file}: not valid TOML, the whole file is ignored: {error}.")
    except UnicodeDecodeError as error:
        problems.append(f"{file}: not UTF-8 (byte {error.start}), the whole file is ignored.")
    except OSError as error:
        problems.append(f"{file}: cannot be read, it is ignored: {error.strerror}.")
    return {}


def _settings_in(
    tables: Mapping[str, Any],
    model: type[BaseModel] = Settings,
    above: tuple[str, ...] = (),
) -> Iterator[_Setting]:
    """The single settings of nested tables. Null is none."""
    for key, value in tables.items():
        table = _table_at(model, key)
        if table is not None and isinstance(value, Mapping):
            yield from _settings_in(value, table, (*above, key))
        elif value is not None:
            yield _Setting((*above, key), value)


def _settings_in_environment(environ: Mapping[str, str]) -> Iterator[_Setting]:
    """`INKLING_A__B=c` is `a.b = "c"`; lists are separated by commas, "" is none."""
    for variable, text in environ.items():
        if not text or not variable.startswith(_ENVIRONMENT_PREFIX):
            continue
        if variable not in _OTHER_VARIABLES:
            path = tuple(variable.removeprefix(_ENVIRONMENT_PREFIX).lower().split("__"))
            is_list = isinstance(_value_at(Settings(), path), tuple)
            yield _Setting(path, [item.strip() for item in text.split(",")] if is_list else text)


def _problem_with(setting: _Setting, settings: Settings) -> str:
    """What is wrong with a setting, as a sentence; "" if nothing is."""
    try:
        Settings.model_validate(setting.tables)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
    else:
        return ""
    if first["type"] == "extra_forbidden":
        close = difflib.get_close_matches(setting.key, _keys(Settings), n=1, cutoff=0.75)
        return f"there is no setting {setting.key}" + (
            f"; did you mean {close[0]}?" if close else "."
        )
    if first["type"] == "model_type":
        return f"{setting.key} must be a table of settings; it is ignored."
    said = first["msg"]
    return (
        f"{setting.key} cannot be {reprlib.repr(setting.value)} ({said[0].lower()}{said[1:]}); "
        f"it stays {_value_at(settings, setting.path)!r}."
    )


def _with(settings: Settings, setting: _Setting) -> Settings:
    """The settings with one changed."""
    tables = settings.model_dump()
    table = tables
    for name in setting.path[:-1]:
        table = table[name]
    table[setting.path[-1]] = setting.value
    return Settings.model_validate(tables)


def _keys(model: type[BaseModel], above: str = "") -> Iterator[str]:
    for key in model.model_fields:
        table = _table_at(model, key)
        if table is None:
            yield above + key
        else:
            yield from _keys(table, f"{above}{key}.")


def _table_at(model: type[BaseModel], key: str) -> type[BaseModel] | None:
    """The model of a key's table, None if the key is no table."""
    field = model.model_fields.get(key)
    kind = field.annotation if field else None
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _value_at(settings: Settings, path: tuple[str, ...]) -> object:
    value: object = settings
    for key in path:
        value = getattr(value, key, None)
    return value
