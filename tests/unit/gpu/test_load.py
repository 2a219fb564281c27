"""What lies in video memory is what the reference computes with, and broken folders say how."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from inkling.engine.exl2 import load_checkpoint, quantize, write_checkpoint
from inkling.engine.exl2.write import Recipe
from inkling.engine.gpu import upload
from inkling.engine.gpu.codes import MXFP4
from inkling.engine.gpu.layout import Matrix, Packed, Plain, dequantize
from inkling.engine.gpu.load import load_gpu_weights
from inkling.engine.gpu.upload import Uploads
from inkling.engine.gpu.weights import GpuWeights
from inkling.errors import CheckpointError
from tests.unit.gpu.models import random_mxfp4
from tests.unit.model.gpt_oss_cases import transformers_model
from tests.unit.model.test_checkpoint import CONFIG, FAULTS, RECIPE, rewrite, shard

CPU = torch.device("cpu")
LAYER = "model.layers.1"
EXPERT = f"{LAYER}.mlp.experts.2.down_proj"
Q, V = f"{LAYER}.self_attn.q_proj", f"{LAYER}.self_attn.v_proj"

RECIPES: Mapping[str, Recipe] = {
    "uniform": dict.fromkeys(("embedding", "attention", "gate_up", "down", "head"), (4, 32)),
    "mixed": RECIPE,
    "bytes": {"attention": (8, 64), "gate_up": (5, 128), "down": (2, 32), "head": (8, 32)},
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


def values(matrix: Matrix) -> Tensor:
    return (dequantize(matrix) if isinstance(matrix, Packed) else matrix.weight).float()


def gates_first(interleaved: Tensor) -> Tensor:
    return torch.cat((interleaved[..., ::2], interleaved[..., 1::2]), -1)


def load(folder: Path) -> GpuWeights:
    """Load, and compare every tensor with the reference's."""
    config, weights = load_gpu_weights(folder, CPU)
    model = load_checkpoint(folder)
    assert config == model.config
    expected = model.weights
    assert weights.embedding.dtype == torch.float16
    assert torch.equal(weights.embedding.float(), expected.embedding)
    assert torch.equal(values(weights.head), expected.head)
    assert torch.equal(weights.norm, expected.norm)
    for layer, want in zip(weights.layers, expected.layers, strict=True):
        for vector in ("input_norm", "qkv_bias", "sinks", "attention_out_bias"):
            assert torch.equal(getattr(layer, vector), getattr(want, vector))
        for vector in ("post_attention_norm", "router_bias"):
            assert torch.equal(getattr(layer, vector), getattr(want, vector))
        assert torch.equal(layer.router, want.router.t())
        assert torch.equal(values(layer.qkv), want.qkv)
        assert torch.equal(values(layer.attention_out), want.attention_out)
        assert torch.equal(gates_first(values(layer.gate_up)), torch.stack(want.gate_up))
        assert torch.equal(gates_first(layer.gate_up_bias), torch.stack(want.gate_up_bias))
        assert torch.equal(values(layer.down), torch.stack(want.down))
        assert torch.equal(layer.down_bias, torch.stack(want.down_bias))
    return weights


def requantize(folder: Path, name: str, weight: Tensor, bits: int) -> None:
    """Give one matrix `[in, out]` of a written checkpoint another width."""
    rewrite(
        folder,
        lambda tensors: tensors.update(
            {f"{name}.{part}": tensor for part, tensor in quantize(weight, bits, 32).items()}
        ),
    )


def make_plain(folder: Path, name: str, weight: Tensor) -> None:
    """Give one matrix of a written checkpoint as fp16 `[out, in]`."""

    def change(tensors: dict[str, Tensor]) -> None:
        for part in ("q_weight", "q_scale", "q_scale_max", "q_groups"):
            del tensors[f"{name}.{part}"]
        tensors[f"{name}.weight"] = weight.t().half().contiguous()

    rewrite(folder, change)


def make_mxfp4(folder: Path, names: Sequence[str], scale: int | None = None) -> None:
    """Give matrices of a written checkpoint as MXFP4, of other values; `scale` of all blocks."""
    generator = torch.Generator().manual_seed(0)

    def change(tensors: dict[str, Tensor]) -> None:
        for name in names:
            columns = tensors[f"{name}.q_weight"].shape[1]
            rows = CONFIG["hidden_size" if name.endswith("gate_up_proj") else "intermediate_size"]
            matrix = random_mxfp4(rows, columns, generator)
            for part in ("q_weight", "q_scale", "q_scale_max", "q_groups"):
                del tensors[f"{name}.{part}"]
            if scale is not None:
                matrix.scales.fill_(scale)
            tensors[f"{name}.blocks"] = matrix.blocks
            tensors[f"{name}.scales"] = matrix.scales

    rewrite(folder, change)


def experts(part: str) -> list[str]:
    return [f"{LAYER}.mlp.experts.{index}.{part}" for index in range(CONFIG["num_local_experts"])]


def permute(folder: Path, seeds: Mapping[str, int]) -> None:
    """Say of some matrices that their rows are stored in another order."""

    def change(tensors: dict[str, Tensor]) -> None:
        for name, seed in seeds.items():
            num_rows = CONFIG["intermediate_size" if name == EXPERT else "hidden_size"]
            order = torch.randperm(num_rows, generator=torch.Generator().manual_seed(seed))
            tensors[f"{name}.q_invperm"] = order.to(torch.int32)

    rewrite(folder, change)


@pytest.mark.parametrize("is_tied", [False, True], ids=["own head", "tied"])
@pytest.mark.parametrize("recipe", RECIPES)
def test_values_are_the_references(
    tmp_path: Path, state: dict[str, Tensor], recipe: str, is_tied: bool
) -> None:
    write_checkpoint(tmp_path, {**CONFIG, "tie_word_embeddings": is_tied}, state, RECIPES[recipe])
    weights = load(tmp_path)
    assert isinstance(weights.head, Plain if is_tied or "head" not in RECIPES[recipe] else Packed)
    assert isinstance(weights.layers[0].down, Packed if "down" in RECIPES[recipe] else Plain)


def test_shards(folder: Path) -> None:
    shard(folder, has_index=True)
    load(folder)


def test_experts_of_several_widths_are_stored_at_the_widest(
    folder: Path, state: dict[str, Tensor]
) -> None:
    requantize(folder, EXPERT, state[f"{LAYER}.mlp.experts.down_proj"][2], 6)
    weights = load(folder)
    widths = [layer.down.bits for layer in weights.layers if isinstance(layer.down, Packed)]
    assert widths == [4, 6]


def test_q_k_and_v_of_several_widths(folder: Path, state: dict[str, Tensor]) -> None:
    requantize(folder, V, state[f"{V}.weight"].t(), 8)
    qkv = load(folder).layers[1].qkv
    assert isinstance(qkv, Packed) and qkv.bits == 8


def test_one_plain_expert_makes_all_of_its_layer_plain(
    folder: Path, state: dict[str, Tensor]
) -> None:
    make_plain(folder, EXPERT, state[f"{LAYER}.mlp.experts.down_proj"][2])
    weights = load(folder)
    assert isinstance(weights.layers[0].down, Packed)
    assert isinstance(weights.layers[1].down, Plain)


def test_experts_as_published_stay_as_they_are(folder: Path) -> None:
    make_mxfp4(folder, experts("gate_up_proj") + experts("down_proj"))
    layer = load(folder).layers[1]
    for matrix in (layer.gate_up, layer.down):
        assert isinstance(matrix, Packed) and matrix.bits == MXFP4


def test_mxfp4_beside_other_experts_makes_their_layer_plain(folder: Path) -> None:
    make_mxfp4(folder, experts("down_proj")[1:3])
    layer = load(folder).layers[1]
    assert isinstance(layer.gate_up, Packed) and isinstance(layer.down, Plain)


def test_mxfp4_with_large_scales_is_plain_up_to_what_fp16_has(folder: Path) -> None:
    make_mxfp4(folder, experts("down_proj"), scale=127 + 13)
    assert isinstance(load(folder).layers[1].down, Plain)


def test_mxfp4_beyond_fp16(folder: Path) -> None:
    make_mxfp4(folder, experts("down_proj"), scale=127 + 14)
    with pytest.raises(CheckpointError, match=f"The matrix {experts('down_proj')[0]} holds values"):
        load_gpu_weights(folder, CPU)


def test_one_plain_part_makes_q_k_and_v_plain(folder: Path, state: dict[str, Tensor]) -> None:
    make_plain(folder, V, state[f"{V}.weight"].t())
    assert isinstance(load(folder).layers[1].qkv, Plain)


def test_a_quantized_router(folder: Path, state: dict[str, Tensor]) -> None:
    """4 experts are no multiple of 8 columns: the format has none, and says so."""
    name = f"{LAYER}.mlp.router"
    padded = torch.cat([state[f"{name}.weight"].t()] * 2, 1)
    requantize(folder, name, padded, 6)
    with pytest.raises(CheckpointError, match=rf"{name}.q_weight should be int32 \[18, 4\]"):
        load_gpu_weights(folder, CPU)


def test_orders_of_rows(folder: Path) -> None:
    permute(folder, {EXPERT: 1, Q: 2, V: 2, f"{LAYER}.self_attn.k_proj": 2})
    down = load(folder).layers[1].down
    assert isinstance(down, Packed) and down.perm is not None and down.perm.shape == (4, 160)


@pytest.mark.parametrize("seeds", [{V: 1}, {Q: 1, V: 1}], ids=["one permuted", "q and v only"])
def test_q_k_and_v_in_different_orders(folder: Path, seeds: dict[str, int]) -> None:
    permute(folder, seeds)
    with pytest.raises(CheckpointError, match=r"The rows of .* in another order than those of"):
        load_gpu_weights(folder, CPU)


def test_columns_that_are_no_multiple_of_8(tmp_path: Path, state: dict[str, Tensor]) -> None:
    config: dict[str, Any] = {**CONFIG, "vocab_size": 100}
    embedding = state["model.embed_tokens.weight"][:100]
    head = state["lm_head.weight"]
    fewer = {**state, "model.embed_tokens.weight": embedding, "lm_head.weight": head[:100]}
    write_checkpoint(tmp_path, config, fewer, {})
    parts = quantize(head.t(), 4, 32)
    parts["q_weight"] = parts["q_weight"][:, :100].contiguous()
    rewrite(tmp_path, lambda tensors: tensors.update({f"lm_head.{p}": t for p, t in parts.items()}))
    with pytest.raises(CheckpointError, match="lm_head has 100 columns, but EXL2 stores scales"):
        load_gpu_weights(tmp_path, CPU)


def test_plain_weights_beyond_fp16(tmp_path: Path, state: dict[str, Tensor]) -> None:
    write_checkpoint(tmp_path, CONFIG, state, {})
    name = "model.layers.0.self_attn.o_proj"
    weight = state[f"{name}.weight"] * 1e6
    rewrite(tmp_path, lambda tensors: tensors.update({f"{name}.weight": weight}))
    with pytest.raises(CheckpointError, match=f"The matrix {name} holds values beyond fp16"):
        load_gpu_weights(tmp_path, CPU)


@pytest.mark.parametrize("fault", FAULTS)
def test_broken_folders_say_how(folder: Path, fault: str) -> None:
    damage, message = FAULTS[fault]
    damage(folder)
    with pytest.raises(CheckpointError, match=message) as caught:
        load_gpu_weights(folder, CPU)
    assert "\n" not in str(caught.value)


def test_progress_counts_the_bytes_of_the_files(folder: Path) -> None:
    seen: list[tuple[int, int]] = []
    load_gpu_weights(folder, CPU, lambda done, total: seen.append((done, total)))
    size = (folder / "model.safetensors").stat().st_size
    done = [each for each, _ in seen]
    assert done == sorted(done) and {total for _, total in seen} == {size}
    assert done[-1] == size and done[-2] > 0.9 * size


def test_tensors_of_many_pieces_arrive_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "PIECE", 64)
    generator = torch.Generator().manual_seed(0)
    sizes = [1, 16, 17, 5000, 3]
    tensors = [torch.randint(0, 9, (size,), generator=generator).int() for size in sizes]
    with Uploads(CPU, 0, None) as uploads:
        for _ in range(2):
            for copy, tensor in zip(uploads.tensors(tensors), tensors, strict=True):
                assert torch.equal(copy, tensor)
