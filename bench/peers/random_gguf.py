"""A gpt-oss GGUF of random weights, as llama.cpp's converter would have written it: MXFP4 experts,
8-bit attention, embedding and head, everything else in fp32. 12 GB at the 20B model's shapes.

Its vocabulary is made up: requests come as token ids, so all it has to do is load.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .base import Shapes, module

_Bytes = npt.NDArray[np.uint8]
BLOCK = 32  # weights that share a scale, in both formats


def write_gguf(file: Path, shapes: Shapes) -> None:
    """Write the model to `file`. Needs llama.cpp's `gguf` package."""
    gguf = module("gguf")
    writer = gguf.GGUFWriter(file, "gpt-oss")
    _add_settings(gguf, writer, shapes)
    _add_vocabulary(gguf, writer, shapes.vocab)
    _add_tensors(gguf.GGMLQuantizationType, writer, shapes)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_settings(gguf: Any, writer: Any, shapes: Shapes) -> None:
    writer.add_name("random gpt-oss")
    writer.add_context_length(131_072)
    writer.add_embedding_length(shapes.hidden)
    writer.add_block_count(shapes.layers)
    writer.add_feed_forward_length(shapes.intermediate)
    writer.add_expert_feed_forward_length(shapes.intermediate)
    writer.add_head_count(shapes.heads)
    writer.add_head_count_kv(shapes.kv_heads)
    writer.add_key_length(shapes.head_dim)
    writer.add_value_length(shapes.head_dim)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_expert_count(shapes.experts)
    writer.add_expert_used_count(shapes.experts_per_token)
    writer.add_sliding_window(shapes.window)
    writer.add_rope_freq_base(150_000.0)
    writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
    writer.add_rope_scaling_factor(32.0)
    writer.add_rope_scaling_orig_ctx_len(4096)


def byte_alphabet() -> list[str]:
    """How a GPT-2 vocabulary writes each byte. Engines look for the newline in it."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = (chr(256 + index) for index in range(256))
    return [chr(byte) if byte in printable else next(others) for byte in range(256)]


def _add_vocabulary(gguf: Any, writer: Any, size: int) -> None:
    alphabet = byte_alphabet()
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-4o")
    writer.add_token_list([*alphabet, *(f"token{id_}" for id_ in range(256, size))])
    writer.add_token_types([int(gguf.TokenType.NORMAL)] * size)
    writer.add_token_merges(["t o"])
    writer.add_bos_token_id(size - 2)
    writer.add_eos_token_id(size - 1)
    writer.add_add_bos_token(False)


def _add_tensors(kinds: Any, writer: Any, shapes: Shapes) -> None:
    hidden, inner, experts = shapes.hidden, shapes.intermediate, shapes.experts
    queries, keys = shapes.heads * shapes.head_dim, shapes.kv_heads * shapes.head_dim
    rng = np.random.default_rng(0)

    def plain(name: str, *shape: int, mean: float = 0.0) -> None:
        values = rng.standard_normal(shape, dtype=np.float32) * np.float32(0.02) + np.float32(mean)
        writer.add_tensor(name, values)

    def eight_bit(name: str, rows: int, columns: int) -> None:
        writer.add_tensor(name, _q8_0(rng, (rows, columns)), raw_dtype=kinds.Q8_0)

    vocabulary = _q8_0(rng, (shapes.vocab, hidden))
    writer.add_tensor("token_embd.weight", vocabulary, raw_dtype=kinds.Q8_0)
    writer.add_tensor("output.weight", vocabulary, raw_dtype=kinds.Q8_0)
    plain("output_norm.weight", hidden, mean=1.0)
    # The same bytes in every layer: they are read anew each time, and written in seconds.
    into = _mxfp4(rng, (experts, inner, hidden))
    out_of = _mxfp4(rng, (experts, hidden, inner))
    for layer in range(shapes.layers):
        block = f"blk.{layer}"
        plain(f"{block}.attn_norm.weight", hidden, mean=1.0)
        plain(f"{block}.post_attention_norm.weight", hidden, mean=1.0)
        for name, size in (("attn_q", queries), ("attn_k", keys), ("attn_v", keys)):
            eight_bit(f"{block}.{name}.weight", size, hidden)
            plain(f"{block}.{name}.bias", size)
        eight_bit(f"{block}.attn_output.weight", hidden, queries)
        plain(f"{block}.attn_output.bias", hidden)
        plain(f"{block}.attn_sinks.weight", shapes.heads)
        plain(f"{block}.ffn_gate_inp.weight", experts, hidden)
        plain(f"{block}.ffn_gate_inp.bias", experts)
        for name, data, size in (
            ("ffn_gate_exps", into, inner),
            ("ffn_up_exps", into, inner),
            ("ffn_down_exps", out_of, hidden),
        ):
            writer.add_tensor(f"{block}.{name}.weight", data, raw_dtype=kinds.MXFP4)
            plain(f"{block}.{name}.bias", experts, size)


def _q8_0(rng: np.random.Generator, shape: tuple[int, ...]) -> _Bytes:
    """Blocks of an fp16 scale and 32 signed bytes; weights of about 0.02."""
    blocks = _random_bytes(rng, shape, 2 + BLOCK)
    blocks[..., :2] = np.array([0.02 / 74], np.float16).view(np.uint8)
    return blocks.reshape(*shape[:-1], -1)


def _mxfp4(rng: np.random.Generator, shape: tuple[int, ...]) -> _Bytes:
    """Blocks of an exponent (biased by 127) and 32 nibbles; weights of about 0.02."""
    blocks = _random_bytes(rng, shape, 1 + BLOCK // 2)
    blocks[..., 0] = 120
    return blocks.reshape(*shape[:-1], -1)


def _random_bytes(rng: np.random.Generator, shape: tuple[int, ...], block_bytes: int) -> _Bytes:
    full = (*shape[:-1], shape[-1] // BLOCK, block_bytes)
    return np.frombuffer(bytearray(rng.bytes(int(np.prod(full)))), np.uint8).reshape(full)
