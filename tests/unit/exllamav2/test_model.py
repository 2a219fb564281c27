"""A checkpoint over exllamav2's products says what the reference says, and what cannot be is refused."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from torch import Tensor

from inkling.engine.exl2 import load_checkpoint, write_checkpoint
from inkling.engine.exl2.write import Recipe
from inkling.engine.exllamav2 import load_exllamav2
from inkling.engine.model.base import Model
from inkling.engine.model.paged_kv import PagedKV
from inkling.errors import CheckpointError
from tests.unit.exllamav2.double import Exllamav2Double
from tests.unit.gpu.test_load import EXPERT, experts, make_mxfp4, make_plain, permute
from tests.unit.model.exl2_oracle import random_matrix
from tests.unit.model.gpt_oss_cases import PAGE_LEN, tokens, transformers_model
from tests.unit.model.test_checkpoint import CONFIG, FAULTS, RECIPE, rewrite

CPU = torch.device("cpu")
TOLERANCE = 0.01  # of the logits' standard deviation; products are rounded to fp16
PROMPT = tokens(45)  # more than the kernel takes; the window is 8
NUM_PAGES = 20
PAGES = torch.randperm(NUM_PAGES, generator=torch.Generator().manual_seed(0)).tolist()
RECIPES: Mapping[str, Recipe] = {
    "mixed": RECIPE,
    "experts only": {"gate_up": (3, 32), "down": (6, 32)},
    "plain": {},
}


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    model = transformers_model(CONFIG, seed=0)
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


@pytest.fixture
def folder(tmp_path: Path, state: dict[str, Tensor]) -> Path:
    write_checkpoint(tmp_path, CONFIG, state, RECIPE)
    return tmp_path


@dataclass
class Pair:
    """A checkpoint by exllamav2's double, and what the reference says of PROMPT."""

    folder: Path
    double: Exllamav2Double = field(default_factory=Exllamav2Double)

    def __post_init__(self) -> None:
        reference = load_checkpoint(self.folder)
        self.expected = reference.forward(
            PROMPT, 0, PAGES, reference.new_kv(NUM_PAGES, PAGE_LEN), 45
        )
        self.model: Model = load_exllamav2(self.folder, CPU, self.double.kernels)
        kv = self.model.new_kv(NUM_PAGES, PAGE_LEN)
        assert isinstance(kv, PagedKV) and kv.keys.dtype == torch.float32
        kv.keys.fill_(torch.nan)
        kv.values.fill_(torch.nan)
        self.kv = kv

    def passes(self, sizes: list[int], start: int = 0) -> None:
        """Compare PROMPT from `start` in passes of these sizes."""
        for size in sizes:
            end = start + size
            got = self.model.forward(PROMPT[start:end], start, PAGES, self.kv, size)
            assert got.dtype == torch.float32
            want = self.expected[start:end]
            assert (got - want).abs().max() < TOLERANCE * self.expected.std()
            start = end
        assert start == len(PROMPT)


@pytest.mark.parametrize("is_tied", [False, True], ids=["own head", "tied"])
@pytest.mark.parametrize("recipe", RECIPES)
def test_logits_are_the_references(
    tmp_path: Path, state: dict[str, Tensor], recipe: str, is_tied: bool
) -> None:
    write_checkpoint(tmp_path, {**CONFIG, "tie_word_embeddings": is_tied}, state, RECIPES[recipe])
    pair = Pair(tmp_path)
    pair.passes([45])
    pair.passes([1] * 45)
    pair.passes([40, 1, 1, 3])


def test_chunks_and_rewinding(folder: Path) -> None:
    pair = Pair(folder)
    pair.passes([33, 12])
    for rewound in (1, 20, 44):
        pair.model.forward(tokens(25, seed=rewound), rewound, PAGES, pair.kv, 0)
        pair.passes([45 - rewound], start=rewound)


def test_few_rows_go_to_its_kernel_and_many_to_a_dequantized_matrix(folder: Path) -> None:
    pair = Pair(folder)
    pair.model.forward(PROMPT[:44], 0, PAGES, pair.kv, 1)
    # Attention of both layers has 44 rows; the experts have those that were sent to them.
    assert pair.double.rows.count(0) >= 2 * 4
    assert all(rows <= 32 for rows in pair.double.rows)
    pair.double.rows.clear()
    pair.model.forward(PROMPT[44:], 44, PAGES, pair.kv, 1)
    # q, k, v, o and 4 experts' two matrices of each layer, and the head: the chosen experts only.
    assert pair.double.rows == [1] * (2 * (4 + 2 * CONFIG["num_experts_per_tok"]) + 1)


def test_orders_of_rows_and_widths_may_differ_from_matrix_to_matrix(
    folder: Path, state: dict[str, Tensor]
) -> None:
    attention = "model.layers.1.self_attn"
    permute(folder, {EXPERT: 1, f"{attention}.q_proj": 2, f"{attention}.v_proj": 3})
    make_plain(folder, f"{attention}.k_proj", state[f"{attention}.k_proj.weight"].t())
    make_plain(
        folder, experts("gate_up_proj")[1], state["model.layers.1.mlp.experts.gate_up_proj"][1]
    )
    pair = Pair(folder)
    pair.passes([45])
    pair.passes([1] * 45)


def test_progress_ends_with_all_bytes(folder: Path) -> None:
    seen: list[tuple[int, int]] = []
    load_exllamav2(folder, CPU, Exllamav2Double().kernels, lambda *bytes_: seen.append(bytes_))
    size = (folder / "model.safetensors").stat().st_size
    assert seen[-1] == (size, size)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_mxfp4_is_refused(folder: Path) -> None:
    make_mxfp4(folder, experts("down_proj"))
    with pytest.raises(
        CheckpointError, match=r"down_proj is MXFP4, .* set engine.backend to \"fused\""
    ):
        load_exllamav2(folder, CPU, Exllamav2Double().kernels)


def test_groups_in_rising_order_of_bits_are_refused(folder: Path) -> None:
    tensors = random_matrix(((4, 96), (6, 64)), CONFIG["hidden_size"], seed=0, is_permuted=False)
    named = {f"{EXPERT}.{part}": tensor for part, tensor in tensors.items()}
    rewrite(folder, lambda all_: all_.update(named))
    load_checkpoint(folder)
    with pytest.raises(
        CheckpointError, match="groups of .*down_proj are not in falling order of bits"
    ):
        load_exllamav2(folder, CPU, Exllamav2Double().kernels)


@pytest.mark.parametrize("name", ["model.layers.1.self_attn.o_proj", "model.embed_tokens"])
def test_plain_matrices_beyond_fp16_are_refused(folder: Path, name: str) -> None:
    def change(tensors: dict[str, Tensor]) -> None:
        weight = torch.full((CONFIG["hidden_size"], 128), 1e5)
        if "embed" in name:
            weight = torch.full((CONFIG["vocab_size"], CONFIG["hidden_size"]), 1e5)
        for part in ("q_weight", "q_scale", "q_scale_max", "q_groups"):
            del tensors[f"{name}.{part}"]
        tensors[f"{name}.weight"] = weight

    rewrite(folder, change)
    with pytest.raises(CheckpointError, match=f"{name} holds values beyond fp16"):
        load_exllamav2(folder, CPU, Exllamav2Double().kernels)


@pytest.mark.parametrize("fault", FAULTS)
def test_broken_folders_say_how(folder: Path, fault: str) -> None:
    damage, message = FAULTS[fault]
    damage(folder)
    with pytest.raises(CheckpointError, match=message):
        load_exllamav2(folder, CPU, Exllamav2Double().kernels)
