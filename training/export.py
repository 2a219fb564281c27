"""Trained weights → the EXL2 checkpoint that ships, and an fp16 one to compare it with.

python -m training.export WORK TOKENIZER_FOLDER OUT [--fp16]
"""

import argparse
import shutil
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from inkling.engine.exl2 import write_checkpoint
from inkling.engine.exl2.write import Recipe
from training.config import SPECIAL_TOKENS, ModelShape

# (bits, group size). The embedding and the head are a quarter of the model and read every token.
RECIPE: Recipe = {
    "embedding": (6, 32),
    "head": (6, 32),
    "attention": (6, 32),
    "gate_up": (4, 32),
    "down": (4, 32),
}


def checkpoint_config(shape: ModelShape) -> dict[str, Any]:
    """`config.json` as transformers writes it for gpt-oss; plain rotary embeddings."""
    return {
        "architectures": ["GptOssForCausalLM"],
        "model_type": "gpt_oss",
        "vocab_size": shape.vocab_size,
        "hidden_size": shape.hidden_size,
        "num_hidden_layers": shape.num_hidden_layers,
        "num_attention_heads": shape.num_attention_heads,
        "num_key_value_heads": shape.num_key_value_heads,
        "head_dim": shape.head_dim,
        "num_local_experts": shape.num_local_experts,
        "num_experts_per_tok": shape.num_experts_per_tok,
        "intermediate_size": shape.intermediate_size,
        "sliding_window": shape.sliding_window,
        "layer_types": [
            "sliding_attention" if window else "full_attention" for window in shape.windows
        ],
        "rms_norm_eps": shape.rms_norm_eps,
        "swiglu_limit": shape.swiglu_limit,
        "hidden_act": "silu",
        "attention_bias": True,
        "tie_word_embeddings": False,
        "rope_theta": shape.rope_theta,
        "rope_parameters": {"rope_type": "default", "rope_theta": shape.rope_theta},
        "max_position_embeddings": shape.max_position_embeddings,
        "bos_token_id": SPECIAL_TOKENS.index("<|startoftext|>"),
        "eos_token_id": SPECIAL_TOKENS.index("<|return|>"),
        "pad_token_id": SPECIAL_TOKENS.index("<|endoftext|>"),
    }


def export(weights: Path, tokenizer: Path, out: Path, recipe: Recipe) -> None:
    """Write the checkpoint folder `out`: config, weights by `recipe`, tokenizer."""
    state = {name: tensor.float() for name, tensor in load_file(weights).items()}
    write_checkpoint(out, checkpoint_config(ModelShape()), state, recipe)
    shutil.copyfile(tokenizer / "tokenizer.json", out / "tokenizer.json")


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the trained model as a checkpoint.")
    parser.add_argument("work", type=Path, help="folder with weights.safetensors")
    parser.add_argument("tokenizer", type=Path, help="folder with tokenizer.json")
    parser.add_argument("out", type=Path)
    parser.add_argument("--fp16", action="store_true", help="leave every matrix in fp16")
    arguments = parser.parse_args()
    recipe = {} if arguments.fp16 else RECIPE
    export(arguments.work / "weights.safetensors", arguments.tokenizer, arguments.out, recipe)
    size = sum(file.stat().st_size for file in arguments.out.iterdir())
    print(f"{arguments.out}: {size / 2**20:.2f} MiB")


if __name__ == "__main__":
    main()
