"""Reading config.json, and the rotary frequencies it means."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from inkling.engine.model.config import GptOssConfig
from inkling.engine.model.rope import inverse_frequencies
from inkling.errors import CheckpointError
from tests.unit.model.gpt_oss_cases import PLAIN_ROPE, YARN, fields


def config_of(**changes: Any) -> GptOssConfig:
    return GptOssConfig.from_fields(fields(**changes), Path("config.json"))


def test_reads_a_file(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(fields()))
    config = GptOssConfig.from_json(path)
    assert (config.num_layers, config.num_experts, config.experts_per_token) == (4, 8, 4)
    assert config.is_sliding == (True, False, True, False)
    assert config.sliding_window == 8
    assert config.swiglu_limit == 7.0
    assert not config.tie_word_embeddings


def test_published_and_newer_layout_mean_the_same() -> None:
    scaling = {key: value for key, value in YARN.items() if key != "rope_theta"}
    published = fields(rope_theta=150_000, rope_scaling=scaling)
    del published["rope_parameters"]
    assert GptOssConfig.from_fields(published, Path("config.json")) == config_of()


def test_no_rotary_settings_mean_gpt_oss_own() -> None:
    bare = fields()
    del bare["rope_parameters"]
    assert GptOssConfig.from_fields(bare, Path("config.json")) == config_of()


def test_published_layout_without_scaling_is_plain() -> None:
    plain = fields(rope_theta=10_000.0, rope_scaling=None)
    del plain["rope_parameters"]
    assert GptOssConfig.from_fields(plain, Path("config.json")) == config_of(
        rope_parameters=PLAIN_ROPE
    )


@pytest.mark.parametrize(
    "rope",
    [
        PLAIN_ROPE,
        YARN,
        {**YARN, "truncate": True},
        {**YARN, "factor": 4.0, "attention_factor": 1.5},
        {"rope_type": "yarn", "rope_theta": 5000.0, "factor": 2.0},
        {"rope_type": "yarn", "rope_theta": 5000.0, "factor": 1.0, "beta_fast": 16.0},
    ],
)
def test_frequencies_are_those_of_transformers(rope: dict[str, Any]) -> None:
    from transformers import GptOssConfig as TheirConfig
    from transformers.models.gpt_oss.modeling_gpt_oss import GptOssRotaryEmbedding

    changes = fields(head_dim=64, rope_parameters=dict(rope))
    theirs = GptOssRotaryEmbedding(TheirConfig(**changes))
    inv_freq, factor = inverse_frequencies(config_of(head_dim=64, rope_parameters=rope))
    torch.testing.assert_close(inv_freq, theirs.inv_freq, rtol=1e-6, atol=0)
    assert factor == pytest.approx(theirs.attention_scaling)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architectures": ["LlamaForCausalLM"]}, "architecture LlamaForCausalLM, but only GptOss"),
        ({"architectures": 5}, "architecture 5, but only GptOss"),
        ({"architectures": None, "model_type": "llama"}, "architecture llama"),
        ({"hidden_size": "64"}, "hidden_size = '64': it must be a positive whole number"),
        ({"num_hidden_layers": 0}, "num_hidden_layers = 0"),
        ({"head_dim": 16.5}, "head_dim = 16.5"),
        ({"rms_norm_eps": None}, "rms_norm_eps = None: it must be a positive number"),
        ({"layer_types": ["full_attention"]}, "layer_types that do not fit: it needs 4 entries"),
        ({"layer_types": ["linear_attention"] * 4}, "layer_types that do not fit"),
        ({"rope_parameters": {"rope_type": "llama3"}}, "type llama3: only yarn and default"),
        ({"rope_parameters": {"rope_type": "yarn"}}, "lacks the key factor"),
        ({"num_key_value_heads": 3}, "8 attention heads to 3 key/value heads"),
        ({"num_experts_per_tok": 9}, "9 of 8 experts"),
    ],
)
def test_unusable_settings_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        config_of(**changes)


@pytest.mark.parametrize("key", ["hidden_size", "num_local_experts", "sliding_window"])
def test_a_missing_key_is_named(key: str) -> None:
    incomplete = fields()
    del incomplete[key]
    with pytest.raises(CheckpointError, match=f"lacks the key {key}"):
        GptOssConfig.from_fields(incomplete, Path("config.json"))


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"{", "is not JSON"), (b"\xff\xfe", "is not JSON"), (b"[]", "holds no JSON object")],
)
def test_a_file_that_is_no_object_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        GptOssConfig.from_json(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="config.json cannot be read"):
        GptOssConfig.from_json(tmp_path / "config.json")
