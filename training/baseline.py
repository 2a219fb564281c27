"""What needs no neural network: an n-gram model of the training files that also copies.

    python -m training.baseline DATA CHECKPOINT RESULTS.json

The longest context that has been seen decides, first in the file itself (before and after the
cursor), then in the training files: 7 tokens, 6, … 1. Same holes, same healing, same measures as
evaluate.py.
"""

import argparse
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inkling.config import Settings
from inkling.core import Extent
from inkling.engine.vocabulary import Vocabulary
from inkling.postprocess import Draft, Place, apply_filters
from inkling.postprocess.block_end import stop_at_block_end
from inkling.tokenizer import Tokenizer
from training.documents import Document
from training.evaluate import Answer, all_holes, load_held_out, write_results
from training.holes import Hole
from training.train import load_corpus

LONGEST_CONTEXT = 7  # tokens
TOKEN_BITS = 13
# Pairs seen once are left out where the context is longer than this: they are most of the table.
KEPT_ONCE = 2
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


class Ngrams:
    """How often each token followed each context of 1 to LONGEST_CONTEXT tokens."""

    def __init__(self, tokens: NDArray[np.uint16]) -> None:
        self._tables: dict[int, tuple[NDArray[np.uint64], NDArray[np.int64]]] = {}
        ids = tokens.astype(np.uint64)
        hashed = np.zeros(len(ids), np.uint64)
        for length in range(1, LONGEST_CONTEXT + 1):
            # hashed[i]: of the `length` tokens that end before i.
            hashed = _mixed(np.concatenate([hashed[:1], hashed[:-1]]), ids)
            keys = _pairs(hashed[length - 1 : -1], ids[length:])
            keys.sort()
            first = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
            counts = np.diff(np.append(first, len(keys)))
            kept = slice(None) if length <= KEPT_ONCE else counts > 1
            self._tables[length] = keys[first][kept], counts[kept]

    def followers(self, context: list[int]) -> list[int]:
        """Tokens seen after exactly this context, most frequent first."""
        keys, counts = self._tables[len(context)]
        hashed = np.zeros(1, np.uint64)
        for token in context:
            hashed = _mixed(hashed, np.array([token], np.uint64))
        low = _pairs(hashed, np.zeros(1, np.uint64))[0]
        start = np.searchsorted(keys, low)
        end = np.searchsorted(keys, low + np.uint64(1 << TOKEN_BITS))
        order = np.argsort(-counts[start:end], kind="stable")
        mask = np.uint64((1 << TOKEN_BITS) - 1)
        return [int(key) for key in keys[start:end][order] & mask]


def _mixed(hashed: NDArray[np.uint64], token: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Wraps around on purpose."""
    return (hashed ^ (token + np.uint64(1))) * _MULTIPLIER


def _pairs(hashed: NDArray[np.uint64], token: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Context and follower in one number: equal contexts are neighbours when sorted."""
    bits = np.uint64(TOKEN_BITS)
    return ((hashed >> bits) << bits) | token


class Copier:
    """Where each context of the file itself went on."""

    def __init__(self, before: list[int], after: list[int]) -> None:
        self._after: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for tokens in (after, before):  # what is above the cursor is seen last and wins
            for at in range(1, len(tokens)):
                for length in range(2, min(LONGEST_CONTEXT, at) + 1):
                    self._after[tuple(tokens[at - length : at])].append(tokens[at])

    def followers(self, context: list[int]) -> list[int]:
        return self._after.get(tuple(context), [])[::-1]


def complete(
    ngrams: Ngrams,
    vocabulary: Vocabulary,
    tokenizer: Tokenizer,
    before: str,
    after: str,
    max_tokens: int,
    is_over: Callable[[str], bool],
) -> tuple[str, str]:
    """The likeliest continuation of `before`, and "stop" or "length"."""
    context = tokenizer.encode(before)
    healed = min(tokenizer.healing_len(before), len(context) - 1)
    required = tokenizer.decode_bytes(context[len(context) - healed :]) if healed > 0 else b""
    context = context[: len(context) - max(0, healed)]
    copier = Copier(context[-3000:], tokenizer.encode(after[:8000]))
    data = b""
    for _ in range(max_tokens):
        allowed = set(vocabulary.allowed(required).tolist()) if required else None
        token = _next(ngrams, copier, context, allowed)
        if token is None:
            return data.decode(errors="ignore"), "stop"
        piece = tokenizer.token_bytes(token)
        if not piece:
            return data.decode(errors="ignore"), "stop"  # a special token: the file's end
        context.append(token)
        required, piece = required[len(piece) :], piece[len(required) :]
        data += piece
        if is_over(data.decode(errors="ignore")):
            return data.decode(errors="ignore"), "stop"
    return data.decode(errors="ignore"), "length"


def _next(
    ngrams: Ngrams, copier: Copier, context: list[int], allowed: set[int] | None
) -> int | None:
    for length in range(min(LONGEST_CONTEXT, len(context)), 0, -1):
        tail = context[-length:]
        for token in (*copier.followers(tail), *ngrams.followers(tail)):
            if allowed is None or token in allowed:
                return token
    return min(allowed) if allowed else None


def training_tokens(
    documents: Iterable[Document], tokenizer: Tokenizer, end: int
) -> NDArray[np.uint16]:
    """All training files as one array, an end-of-text token after each."""
    parts = []
    for document in documents:
        parts.append(np.array([*tokenizer.encode(document.text), end], np.uint16))
    return np.concatenate(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the n-gram and copy baseline.")
    parser.add_argument("data", type=Path)
    parser.add_argument("checkpoint", type=Path, help="for its tokenizer")
    parser.add_argument("results", type=Path)
    parser.add_argument("--lines", type=int, default=1000)
    parser.add_argument("--blocks", type=int, default=250)
    arguments = parser.parse_args()
    tokenizer = Tokenizer.load(arguments.checkpoint)
    vocabulary, settings = Vocabulary(tokenizer), Settings()
    held_out = load_held_out(arguments.data)
    texts = {(document.package, document.path): document.text for document in held_out}
    corpus = load_corpus(arguments.data)
    ngrams = Ngrams(training_tokens(corpus, tokenizer, tokenizer.special["<|endoftext|>"]))

    def answer(hole: Hole) -> Answer:
        text = texts[hole.package, hole.path]
        before, after = text[: hole.cursor], text[hole.end :]
        if hole.kind == "line":
            raw, reason = complete(
                ngrams, vocabulary, tokenizer, before, after, settings.line_tokens, _has_line_end
            )
            return Answer(hole, raw.split("\n")[0], raw, reason)
        place = Place(before, after, Extent.BLOCK, hole.language)

        def is_over(text: str) -> bool:
            return stop_at_block_end(Draft(text, place)).is_done

        raw, reason = complete(
            ngrams, vocabulary, tokenizer, before, after, settings.block_tokens, is_over
        )
        draft = Draft(raw, place, is_whole=True)
        return Answer(hole, apply_filters(draft).text, stop_at_block_end(draft).text, reason)

    holes = all_holes(held_out, tokenizer, arguments.lines, arguments.blocks)
    answers = [answer(hole) for hole in holes]
    write_results(arguments.results, answers, {"checkpoint": "n-gram and copy"})


def _has_line_end(text: str) -> bool:
    return "\n" in text


if __name__ == "__main__":
    main()
