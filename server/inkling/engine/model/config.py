"""The configuration of a gpt-oss checkpoint, read from its `config.json`."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from inkling.errors import CheckpointError

ARCHITECTURE = "GptOssForCausalLM"
SLIDING = "sliding_attention"
FULL = "full_attention"

# What gpt-oss means by a config.json that says nothing about rotary embeddings.
DEFAULT_ROPE: Mapping[str, Any] = {
    "rope_type": "yarn",
    "rope_theta": 150_000.0,
    "factor": 32.0,
    "beta_fast": 32.0,
    "beta_slow": 1.0,
    "truncate": False,
    "original_max_position_embeddings": 4096,
}

_Number = TypeVar("_Number", int, float)


@dataclass(frozen=True)
class Yarn:
    """YaRN context extension. `truncate` rounds the interpolated range to whole dimensions."""

    factor: float
    beta_fast: float
    beta_slow: float
    original_len: int
    truncate: bool
    attention_factor: float


@dataclass(frozen=True)
class GptOssConfig:
    """Shapes and constants of one gpt-oss model. `yarn` is None for plain rotary embeddings."""

    num_layers: int
    hidden_size: int
    intermediate_size: int
    num_experts: int
    experts_per_token: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    sliding_window: int
    is_sliding: tuple[bool, ...]
    vocab_size: int
    max_position_embeddings: int
    rms_norm_eps: float
    swiglu_limit: float
    rope_theta: float
    yarn: Yarn | None
    tie_word_embeddings: bool

    @classmethod
    def from_json(cls, path: Path) -> "GptOssConfig":
        """Read a `config.json`.

        Raises CheckpointError when it is missing, not JSON, of another architecture, or lacks a key.
        """
        try:
            fields = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise CheckpointError(
                f"{path} cannot be read ({error.strerror}): point at the folder of a complete"
                " gpt-oss checkpoint."
            ) from error
        except ValueError as error:
            raise CheckpointError(f"{path} is not JSON ({error}): copy it again.") from error
        if not isinstance(fields, dict):
            raise CheckpointError(f"{path} holds no JSON object: copy it again.")
        return cls.from_fields(fields, path)

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any], path: Path) -> "GptOssConfig":
        """Build from the contents of a `config.json`; `path` is for messages only.

        Raises CheckpointError as `from_json` does.
        """
        _check_architecture(fields, path)

        def count(key: str) -> int:
            return _number(int, fields, key, path)

        rope = _rope_fields(fields)
        config = cls(
            num_layers=count("num_hidden_layers"),
            hidden_size=count("hidden_size"),
            intermediate_size=count("intermediate_size"),
            num_experts=count("num_local_experts"),
            experts_per_token=count("num_experts_per_tok"),
            num_heads=count("num_attention_heads"),
            num_kv_heads=count("num_key_value_heads"),
            head_dim=count("head_dim"),
            sliding_window=count("sliding_window"),
            is_sliding=_layer_kinds(fields, count("num_hidden_layers"), path),
            vocab_size=count("vocab_size"),
            max_position_embeddings=count("max_position_embeddings"),
            rms_norm_eps=_number(float, {"rms_norm_eps": 1e-5, **fields}, "rms_norm_eps", path),
            swiglu_limit=_number(float, {"swiglu_limit": 7.0, **fields}, "swiglu_limit", path),
            rope_theta=_number(float, rope, "rope_theta", path),
            yarn=_yarn(rope, count("max_position_embeddings"), path),
            tie_word_embeddings=bool(fields.get("tie_word_embeddings", False)),
        )
        if config.num_heads % config.num_kv_heads:
            raise CheckpointError(
                f"{path} gives {config.num_heads} attention heads to {config.num_kv_heads}"
                " key/value heads: the first must be a multiple of the second."
            )
        if config.experts_per_token > config.num_experts:
            raise CheckpointError(
                f"{path} routes each token to {config.experts_per_token} of {config.num_experts}"
                " experts: num_experts_per_tok must not exceed num_local_experts."
            )
        return config


def _check_architecture(fields: Mapping[str, Any], path: Path) -> None:
    names = fields.get("architectures") or []
    names = names if isinstance(names, list) else [names]
    if ARCHITECTURE in names or (not names and fields.get("model_type") == "gpt_oss"):
        return
    found = ", ".join(map(str, names)) or fields.get("model_type") or "none"
    raise CheckpointError(
        f"{path} describes the architecture {found}, but only {ARCHITECTURE} can be run:"
        " choose a gpt-oss checkpoint."
    )


def _number(kind: type[_Number], fields: Mapping[str, Any], key: str, path: Path) -> _Number:
    """`fields[key]` as a positive `int` or `float`."""
    if key not in fields:
        raise CheckpointError(f"{path} lacks the key {key}: copy the model's own config.json.")
    value = fields[key]
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or value <= 0 or not math.isfinite(value) or value != kind(value):
        what = "a positive whole number" if kind is int else "a positive number"
        raise CheckpointError(f"{path} has {key} = {value!r}: it must be {what}.")
    return kind(value)


def _layer_kinds(fields: Mapping[str, Any], num_layers: int, path: Path) -> tuple[bool, ...]:
    kinds = fields.get("layer_types") or [FULL if i % 2 else SLIDING for i in range(num_layers)]
    if len(kinds) != num_layers or not set(kinds) <= {SLIDING, FULL}:
        raise CheckpointError(
            f"{path} has layer_types that do not fit: it needs {num_layers} entries, each"
            f" {SLIDING} or {FULL}."
        )
    return tuple(kind == SLIDING for kind in kinds)


def _rope_fields(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """The rotary settings of either layout.

    Newer files keep all in `rope_parameters`; published ones have `rope_scaling` beside a
    `rope_theta`. A file with neither table means gpt-oss's own YaRN.
    """
    rope = fields.get("rope_parameters") or fields.get("rope_scaling")
    if rope is None and "rope_theta" in fields and "rope_scaling" in fields:
        rope = {"rope_type": "default"}
    theta = fields.get("rope_theta", DEFAULT_ROPE["rope_theta"])
    if rope is None:
        return {**DEFAULT_ROPE, "rope_theta": theta}
    return {"rope_theta": theta, **rope}


def _yarn(rope: Mapping[str, Any], max_len: int, path: Path) -> Yarn | None:
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind == "default":
        return None
    if kind != "yarn":
        raise CheckpointError(
            f"{path} asks for rotary embeddings of type {kind}: only yarn and default can be run."
        )
    # Defaults of a table that leaves keys out are those of transformers, whose files these are.
    given = {"original_max_position_embeddings": max_len, "beta_fast": 32.0, "beta_slow": 1.0}
    given |= {key: value for key, value in rope.items() if value is not None}
    factor = _number(float, given, "factor", path)
    given.setdefault("attention_factor", 0.1 * math.log(factor) + 1.0 if factor > 1 else 1.0)
    return Yarn(
        factor=factor,
        beta_fast=_number(float, given, "beta_fast", path),
        beta_slow=_number(float, given, "beta_slow", path),
        original_len=_number(int, given, "original_max_position_embeddings", path),
        truncate=bool(given.get("truncate", True)),
        attention_factor=_number(float, given, "attention_factor", path),
    )
