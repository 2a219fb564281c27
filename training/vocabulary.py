"""Train the byte-level BPE vocabulary, with the Harmony tokens in it.

python -m training.vocabulary .cache/demo
"""

import random
import sys
from collections.abc import Iterator
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from training.config import SEED, SPECIAL_TOKENS, ModelShape
from training.documents import read_documents

# gpt-oss's own split pattern (o200k): the server heals by the same pieces for both models.
SPLIT = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
    r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
LONGEST_TOKEN = 24
SAMPLE = {"python": 24_000_000, "javascript": 16_000_000}  # characters


def sample(folder: Path) -> Iterator[str]:
    """Characters of each language group's documents, in random order."""
    for group, wanted in SAMPLE.items():
        documents = list(read_documents(folder / f"corpus-{group}.jsonl.xz"))
        random.Random(SEED).shuffle(documents)
        for document in documents:
            yield document.text[:20_000]
            wanted -= min(20_000, len(document.text))
            if wanted <= 0:
                break


def train_vocabulary(texts: Iterator[str], vocab_size: int) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(SPECIAL_TOKENS),
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        max_token_length=LONGEST_TOKEN,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def main() -> None:
    folder = Path(sys.argv[1])
    tokenizer = train_vocabulary(sample(folder), ModelShape().vocab_size)
    tokenizer.save(str(folder / "tokenizer.json"))
    print(f"{tokenizer.get_vocab_size()} entries")


if __name__ == "__main__":
    main()
