"""The reference model computes what transformers' GptOssForCausalLM computes."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from inkling.engine.exl2 import load_checkpoint
from inkling.engine.model.base import KVStore, Model
from inkling.engine.model.reference import GptOss
from tests.unit.model.gpt_oss_cases import (
    ODD_SIZES,
    PAGE_LEN,
    PLAIN_ROPE,
    YARN,
    checkpoint,
    expected_logits,
    fields,
    poisoned_kv,
    tokens,
    transformers_model,
)

TOLERANCE = 1e-4
PROMPT = tokens(45)  # the window is 8
CASES = {
    "yarn": fields(),
    "odd sizes": fields(**ODD_SIZES),
    "plain rope": fields(rope_parameters=PLAIN_ROPE),
    "truncated yarn": fields(rope_parameters={**YARN, "truncate": True, "factor": 4.0}),
    "tied": fields(tie_word_embeddings=True, **ODD_SIZES),
    "one key/value head, all experts": fields(num_key_value_heads=1, num_local_experts=4),
    "full layers first": fields(
        layer_types=["full_attention", "full_attention", "sliding_attention", "sliding_attention"]
    ),
    "tight swiglu limit": fields(swiglu_limit=0.5),
}


@dataclass
class Pair:
    model: GptOss
    expected: Tensor  # logits of PROMPT
    pages: list[int]

    def matches(self, logits: Tensor, start: int) -> bool:
        want = self.expected[start : start + len(logits)]
        return logits.shape == want.shape and bool((logits - want).abs().max() < TOLERANCE)


@pytest.fixture(scope="module", params=list(CASES.items()), ids=lambda case: str(case[0]))
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pair]:
    """A model of each kind with what transformers says; its pages lie scattered, last ones first."""
    _, config = request.param
    seed = list(CASES).index(request.param[0])
    theirs = transformers_model(config, seed)
    ours = checkpoint(tmp_path_factory.mktemp("checkpoint"), config, theirs)
    generator = torch.Generator().manual_seed(seed)
    pages = torch.randperm(20, generator=generator).tolist()
    yield Pair(ours, expected_logits(theirs, PROMPT), pages)


def test_whole_prompt(pair: Pair) -> None:
    kv = poisoned_kv(pair.model, 20)
    logits = pair.model.forward(PROMPT, 0, pair.pages, kv, len(PROMPT))
    assert logits.dtype == torch.float32
    assert pair.matches(logits, 0)


@pytest.mark.parametrize("sizes", [[1] * 45, [44, 1], [7, 1, 1, 20, 3, 13], [16, 16, 13]])
def test_chunks(pair: Pair, sizes: list[int]) -> None:
    kv = poisoned_kv(pair.model, 20)
    start = 0
    for size in sizes:
        chunk = PROMPT[start : start + size]
        assert pair.matches(pair.model.forward(chunk, start, pair.pages, kv, size), start)
        start += size
    assert start == len(PROMPT)


@pytest.mark.parametrize("rewound", [1, 5, 20, 44])
def test_rewind_then_append(pair: Pair, rewound: int) -> None:
    kv = poisoned_kv(pair.model, 20)
    pair.model.forward(PROMPT[:rewound], 0, pair.pages, kv, 0)
    pair.model.forward(tokens(25, seed=1), rewound, pair.pages, kv, 1)
    logits = pair.model.forward(PROMPT[rewound:], rewound, pair.pages, kv, 45 - rewound)
    assert pair.matches(logits, rewound)


def test_pages_in_a_row_are_read_as_scattered_ones_are(pair: Pair) -> None:
    kv = poisoned_kv(pair.model, 20)
    in_a_row = list(range(3, 15))
    pair.model.forward(PROMPT[:30], 0, in_a_row, kv, 0)
    assert pair.matches(pair.model.forward(PROMPT[30:], 30, in_a_row, kv, 15), 30)


def test_copied_page_continues_as_the_original(pair: Pair) -> None:
    kv = poisoned_kv(pair.model, 40)
    pair.model.forward(PROMPT[:42], 0, pair.pages, kv, 0)
    last = 42 // PAGE_LEN
    kv.copy_page(pair.pages[last], 30)
    branch = [*pair.pages[:last], 30, 31, 32]
    pair.model.forward(tokens(3, seed=1), 42, pair.pages, kv, 0)  # the original goes elsewhere
    assert pair.matches(pair.model.forward(PROMPT[42:], 42, branch, kv, 3), 42)


def test_only_the_last_logits_are_returned(pair: Pair) -> None:
    kv = poisoned_kv(pair.model, 20)
    assert pair.matches(pair.model.forward(PROMPT, 0, pair.pages, kv, 2), 43)
    assert pair.model.forward(PROMPT[:5], 0, pair.pages, kv, 0).shape == (0, 104)


def test_queries_of_several_blocks(tmp_path: Path) -> None:
    """Passes longer than one block of queries, with a window across the blocks."""
    config = fields(sliding_window=100)
    theirs = transformers_model(config, seed=3)
    ours = checkpoint(tmp_path, config, theirs)
    prompt = tokens(300)
    pages = list(range(75))[::-1]
    kv = poisoned_kv(ours, 75)
    first = ours.forward(prompt[:270], 0, pages, kv, 270)
    rest = ours.forward(prompt[270:], 270, pages, kv, 30)
    got = torch.cat((first, rest))
    assert (got - expected_logits(theirs, prompt)).abs().max() < TOLERANCE


def test_window_matters(tmp_path: Path) -> None:
    """The cases above would notice a window that is off by one."""
    for window in (8, 9):
        config = fields(sliding_window=window)
        ours = checkpoint(tmp_path / str(window), config, transformers_model(config, seed=0))
        kv = poisoned_kv(ours, 20)
        logits = ours.forward(PROMPT, 0, range(20), kv, 45)
        if window == 8:
            reference = logits
    difference = (logits - reference).abs().amax(1)
    assert difference[:8].max() == 0
    assert difference[8:].min() > TOLERANCE


def test_same_call_same_bits(pair: Pair) -> None:
    runs = []
    for _ in range(2):
        kv = poisoned_kv(pair.model, 20)
        runs.append(pair.model.forward(PROMPT, 0, pair.pages, kv, 45))
    assert torch.equal(runs[0], runs[1])


def test_fp64_agrees_with_fp32(tmp_path: Path) -> None:
    config = fields(**ODD_SIZES)
    single = checkpoint(tmp_path, config, transformers_model(config, seed=0))
    double = load_checkpoint(tmp_path, dtype=torch.float64)
    logits = [
        model.forward(PROMPT, 0, range(20), poisoned_kv(model, 20), 45)
        for model in (single, double)
    ]
    assert 0 < (logits[0] - logits[1]).abs().max() < 1e-5


def test_wrong_calls_are_refused(pair: Pair) -> None:
    kv = poisoned_kv(pair.model, 20)
    with pytest.raises(ValueError, match="at least one token"):
        pair.model.forward([], 0, pair.pages, kv, 0)
    with pytest.raises(ValueError, match="2 pages of 4 do not hold 9 tokens"):
        pair.model.forward(PROMPT[:1], 8, pair.pages[:2], kv, 1)
    with pytest.raises(ValueError, match="2 logits asked of a pass of 1 tokens"):
        pair.model.forward(PROMPT[:1], 0, pair.pages, kv, 2)


def test_store_counts_its_bytes(pair: Pair) -> None:
    kv = pair.model.new_kv(5, PAGE_LEN)
    config = pair.model.config
    assert (kv.num_pages, kv.page_len) == (5, PAGE_LEN)
    assert kv.bytes_per_token == 4 * 2 * config.num_kv_heads * config.head_dim * 4
    model: Model = pair.model  # the types of both fit what the engine asks for
    store: KVStore = kv
    assert model.config.vocab_size == 104 and store.num_pages == 5


RECIPES: dict[str, Any] = {
    "all kinds": {
        "embedding": (8, 32),
        "attention": (6, 32),
        "gate_up": (4, 32),
        "down": (5, 64),
        "head": (6, 128),
    },
    "experts only": {"gate_up": (3, 128), "down": (2, 64)},
}


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES.keys())
@pytest.mark.parametrize("is_tied", [False, True], ids=["untied", "tied"])
def test_quantized_model_is_transformers_with_the_same_weights(
    tmp_path: Path, recipe: Any, is_tied: bool
) -> None:
    config = fields(tie_word_embeddings=is_tied, **ODD_SIZES)
    theirs = transformers_model(config, seed=5)
    ours = checkpoint(tmp_path, config, theirs, recipe)
    _take_dequantized_weights(theirs, ours)
    pages = list(range(12))
    logits = ours.forward(PROMPT, 0, pages, poisoned_kv(ours, 12), 45)
    assert (logits - expected_logits(theirs, PROMPT)).abs().max() < TOLERANCE


def _take_dequantized_weights(theirs: Any, ours: GptOss) -> None:
    """Put the weights `ours` computes with into transformers' model, by their own layout."""
    weights = ours.weights
    state = theirs.state_dict()
    with torch.no_grad():
        state["model.embed_tokens.weight"].copy_(weights.embedding)
        state["lm_head.weight"].copy_(weights.head.t())
        for index, layer in enumerate(weights.layers):
            name = f"model.layers.{index}"
            query, key, value = torch.split(layer.qkv.t(), [8 * 24, 2 * 24, 2 * 24])
            state[f"{name}.self_attn.q_proj.weight"].copy_(query)
            state[f"{name}.self_attn.k_proj.weight"].copy_(key)
            state[f"{name}.self_attn.v_proj.weight"].copy_(value)
            state[f"{name}.self_attn.o_proj.weight"].copy_(layer.attention_out.t())
            gate_up = state[f"{name}.mlp.experts.gate_up_proj"]
            gate_up[..., ::2] = torch.stack(layer.gate_up)[..., :160]
            gate_up[..., 1::2] = torch.stack(layer.gate_up)[..., 160:]
            state[f"{name}.mlp.experts.down_proj"].copy_(torch.stack(layer.down))
