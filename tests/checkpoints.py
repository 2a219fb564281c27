"""Repositories as the hub has them, with weights that are noise."""

import json
import random

from tests.hub_server import Repository

SHARD_BYTES = 300_000


def published(**config: object) -> Repository:
    """gpt-oss as published, in two small shards; `config` changes config.json."""
    noise = random.Random(7)
    shards = {f"model-0000{n}-of-00002.safetensors": noise.randbytes(SHARD_BYTES) for n in (0, 1)}
    fields = {
        "architectures": ["GptOssForCausalLM"],
        "model_type": "gpt_oss",
        "quantization_config": {"quant_method": "mxfp4"},
        **config,
    }
    index = {"weight_map": {f"tensor.{n}": name for n, name in enumerate(shards)}}
    files = {
        ".gitattributes": b"*.safetensors filter=lfs\n",
        "README.md": b"# tiny\n",
        "LICENSE": b"Apache-2.0\n",
        "config.json": json.dumps(fields).encode(),
        "tokenizer.json": b'{"model": {}}' + b" " * 9000,
        "chat_template.jinja": b"{{ messages }}",
        "model.safetensors.index.json": json.dumps(index).encode(),
        **shards,
        "original/model.safetensors": noise.randbytes(1000),
        "metal/model.bin": noise.randbytes(1000),
        "tiny.gguf": noise.randbytes(1000),
    }
    return Repository(files, lfs=frozenset({*shards, "tokenizer.json"}))


def exl2(recipe: str = "balanced") -> Repository:
    """The same, converted."""
    return published(quantization_config={"quant_method": "exl2", "recipe": recipe})


WANTED = {
    *("README.md", "LICENSE", "config.json", "tokenizer.json", "chat_template.jinja"),
    *("model-00000-of-00002.safetensors", "model-00001-of-00002.safetensors"),
    "model.safetensors.index.json",
}
