"""What a model takes of video memory with exllamav2, told before anything of it is allocated."""

from pathlib import Path

from inkling.engine.exl2.tensors import TensorFiles
from inkling.engine.gpu.memory import GIB, Need, kv_nbytes, workspace_nbytes
from inkling.engine.model.config import GptOssConfig
from inkling.engine.model.layer import QUERY_BLOCK
from inkling.engine.model.paged_kv import KVBits
from inkling.errors import TooLarge

# Group maps and permutations, which are not in the files, and what an allocator rounds up.
_MAPS_BYTES = 128 << 20
# Scores, their softmax, and one of them with or without the sink's column.
_COPIES_OF_SCORES = 3


def needed(folder: Path, kv_tokens: int, page_len: int, kv_bits: KVBits = 16) -> Need:
    """At most what the checkpoint in `folder` takes with a KV cache of `kv_tokens` in pages of `page_len`.

    Raises CheckpointError for a folder without a `config.json` of gpt-oss and weights.
    """
    with TensorFiles(folder) as files:
        config = GptOssConfig.from_json(folder / "config.json")
        of_embedding = 2 * config.vocab_size * config.hidden_size
        weights = files.nbytes + of_embedding + _MAPS_BYTES
    positions = -(-kv_tokens // page_len) * page_len
    of_layer = 2 * config.num_kv_heads * config.head_dim * 4  # fp32, a position
    # A long pass dequantizes a matrix whole: the head is the largest, as large as the embedding.
    # Attention copies the keys and values of a layer out of their pages, then its queries' scores.
    scores = config.num_heads * QUERY_BLOCK * positions * 4
    attention = _COPIES_OF_SCORES * scores + 2 * of_layer * positions
    kv_in_8_bits = kv_nbytes(config, 8)
    kv_per_token = config.num_layers * of_layer if kv_bits == 16 else kv_in_8_bits
    return Need(
        weights=weights,
        kv=positions * kv_per_token,
        kv_per_token=kv_per_token,
        kv_in_8_bits=positions * kv_in_8_bits,
        workspace=workspace_nbytes(config) + of_embedding + attention,
    )


def check_fits(need: Need, free_bytes: int) -> None:
    """Raise TooLarge if `need` is more than `free_bytes` of a GPU."""
    if need.total > free_bytes:
        raise TooLarge(
            f"With exllamav2 the model needs {need.total / GIB:.1f} GiB of video memory but"
            f' {free_bytes / GIB:.1f} GiB are free: set engine.backend to "fused", which takes less, or'
            " lower engine.kv_tokens (and engine.context_len, if set)."
        )
