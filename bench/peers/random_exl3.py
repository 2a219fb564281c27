"""A gpt-oss EXL3 checkpoint of random weights, as exllamav3's converter would have written it with its
codebook: experts of 4 bits, attention and head of 6, everything else in fp16. 12 GB at the 20B
model's shapes.

Its vocabulary is made up: requests come as token ids, so all it has to do is load.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .base import Shapes, module
from .random_gguf import byte_alphabet

EXPERT_BITS, OTHER_BITS = 4, 6
TILE = 16  # rows and columns that a piece of the trellis stands for
PADDED = 128  # every side of a matrix is a multiple of it: blocks of the Hadamard transform
CODEBOOK = 0x83DCD12D  # its "mul1", the converter's default

_Tensors = dict[str, npt.NDArray[Any]]


def write_exl3(folder: Path, shapes: Shapes) -> None:
    """Write the model into `folder`, its config last. Needs safetensors and tokenizers."""
    save_file = module("safetensors.numpy").save_file
    rng = np.random.default_rng(0)
    for name, tensors in _files(rng, shapes):
        save_file(tensors, folder / f"{name}.safetensors")
    _write_vocabulary(folder, shapes.vocab)
    (folder / "config.json").write_text(json.dumps(_config(shapes)), encoding="utf-8")


def _config(shapes: Shapes) -> dict[str, Any]:
    kinds = ["sliding_attention", "full_attention"]
    return {
        "architectures": ["GptOssForCausalLM"],
        "model_type": "gpt_oss",
        "num_hidden_layers": shapes.layers,
        "hidden_size": shapes.hidden,
        "intermediate_size": shapes.intermediate,
        "num_attention_heads": shapes.heads,
        "num_key_value_heads": shapes.kv_heads,
        "head_dim": shapes.head_dim,
        "num_local_experts": shapes.experts,
        "num_experts_per_tok": shapes.experts_per_token,
        "sliding_window": shapes.window,
        "layer_types": [kinds[index % 2] for index in range(shapes.layers)],
        "vocab_size": shapes.vocab,
        "max_position_embeddings": 131_072,
        "rms_norm_eps": 1e-5,
        "swiglu_limit": 7.0,
        "tie_word_embeddings": False,
        "bos_token_id": shapes.vocab - 2,
        "eos_token_id": shapes.vocab - 1,
        "rope_theta": 150_000.0,
        "rope_scaling": {
            "rope_type": "yarn",
            "factor": 32.0,
            "beta_fast": 32.0,
            "beta_slow": 1.0,
            "truncate": False,
            "original_max_position_embeddings": 4096,
        },
        "quantization_config": {
            "quant_method": "exl3",
            "version": "1.6.5",
            "bits": EXPERT_BITS,
            "head_bits": OTHER_BITS,
            "codebook": "mul1",
        },
    }


def _write_vocabulary(folder: Path, size: int) -> None:
    alphabet = byte_alphabet()
    names = [*alphabet, *(f"token{id_}" for id_ in range(len(alphabet), size))]
    tokenizers = module("tokenizers")
    made = tokenizers.Tokenizer(
        tokenizers.models.BPE({name: at for at, name in enumerate(names)}, [])
    )
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    made.save(str(folder / "tokenizer.json"))


def _files(rng: np.random.Generator, shapes: Shapes) -> Iterator[tuple[str, _Tensors]]:
    hidden, inner = shapes.hidden, shapes.intermediate
    queries, keys = shapes.heads * shapes.head_dim, shapes.kv_heads * shapes.head_dim

    def plain(*shape: int, mean: float = 0.0) -> npt.NDArray[np.float16]:
        values = rng.standard_normal(shape, dtype=np.float32) * np.float32(0.02) + np.float32(mean)
        return values.astype(np.float16)

    embedding = rng.standard_normal((shapes.vocab, hidden), dtype=np.float32).astype(np.float16)
    tensors = {"model.embed_tokens.weight": embedding, "model.norm.weight": plain(hidden, mean=1.0)}
    tensors |= _matrix(rng, "lm_head", hidden, shapes.vocab, OTHER_BITS)
    yield "ends", tensors
    # The same bytes in every layer: they are read anew each time, and written in seconds.
    layer = {
        "input_layernorm.weight": plain(hidden, mean=1.0),
        "post_attention_layernorm.weight": plain(hidden, mean=1.0),
        "self_attn.sinks": plain(shapes.heads),
        "mlp.router.weight": plain(shapes.experts, hidden),
        "mlp.router.bias": plain(shapes.experts),
    }
    attention = (
        ("q", hidden, queries),
        ("k", hidden, keys),
        ("v", hidden, keys),
        ("o", queries, hidden),
    )
    for name, rows, columns in attention:
        layer |= _matrix(rng, f"self_attn.{name}_proj", rows, columns, OTHER_BITS, has_bias=True)
    for expert in range(shapes.experts):
        for name, rows, columns in (
            ("gate", hidden, inner),
            ("up", hidden, inner),
            ("down", inner, hidden),
        ):
            key = f"mlp.experts.{expert}.{name}_proj"
            layer |= _matrix(rng, key, rows, columns, EXPERT_BITS, has_bias=True)
    for index in range(shapes.layers):
        yield (
            f"layer-{index:02}",
            {f"model.layers.{index}.{name}": tensor for name, tensor in layer.items()},
        )


def _matrix(
    rng: np.random.Generator,
    key: str,
    rows: int,
    columns: int,
    bits: int,
    *,
    has_bias: bool = False,
) -> _Tensors:
    """A quantized matrix's tensors; weights of about 0.02. Any bits are a valid trellis."""
    rows, columns = _padded(rows), _padded(columns)
    shape = rows // TILE, columns // TILE, TILE * bits
    trellis = np.frombuffer(bytearray(rng.bytes(2 * int(np.prod(shape)))), np.int16).reshape(shape)

    def signs(size: int, scale: float) -> npt.NDArray[np.float16]:
        return ((rng.integers(0, 2, size) * 2 - 1) * scale).astype(np.float16)

    tensors: _Tensors = {
        f"{key}.trellis": trellis,
        f"{key}.suh": signs(rows, 1.0),
        f"{key}.svh": signs(columns, 0.02),
        f"{key}.mul1": np.array(CODEBOOK, np.uint32).view(np.int32),
    }
    if has_bias:
        tensors[f"{key}.bias"] = np.zeros(columns, np.float16)
    return tensors


def _padded(size: int) -> int:
    return -(-size // PADDED) * PADDED
