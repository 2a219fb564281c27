"""Settings, as pydantic models. This module is the only reader of TOML, environment and editor options."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


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
        Field(ge=64, description="Longest prompt + completion in tokens; unset: the model's own."),
    ] = None
    kv_tokens: Annotated[
        int, Field(ge=1024, description="Tokens of KV cache kept for reuse, over all prompts.")
    ] = 16_384


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
    line_tokens: Annotated[
        int, Field(ge=1, le=512, description="Most tokens of a single-line completion.")
    ] = 48
    block_tokens: Annotated[
        int, Field(ge=1, le=4096, description="Most tokens of a block completion.")
    ] = 160
    engine: EngineSettings = EngineSettings()


def user_config_file() -> Path:
    """Where a user's own settings live (`config.toml` in the platform's config folder)."""
    from platformdirs import user_config_path

    return user_config_path("inkling") / "config.toml"
