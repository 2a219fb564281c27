"""The network that is trained is the model that ships: same logits, from the same weights."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from inkling.engine.exl2 import load_checkpoint, write_checkpoint
from training.config import ModelShape, RowShape, Schedule, TrainingConfig
from training.export import checkpoint_config
from training.muon import orthogonal
from training.network import Network, fused_attention, fused_mask, plain_attention, weighted_loss
from training.train import Trainer, learning_rate_factor

TINY = replace(
    ModelShape(),
    vocab_size=96,
    hidden_size=64,
    num_hidden_layers=4,
    num_attention_heads=4,
    head_dim=32,
    intermediate_size=32,
    num_local_experts=6,
    sliding_window=8,
)


def randomised(shape: ModelShape) -> Network:
    """A network whose biases, norms and sinks matter as well."""
    torch.manual_seed(3)
    network = Network(shape)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.dim() < 2:
                parameter.add_(torch.randn_like(parameter), alpha=0.3)
        network.model.embed_tokens.weight *= 20
    return network


def rows(count: int, length: int) -> torch.Tensor:
    """Random tokens that all count as code."""
    ids = torch.randint(0, TINY.vocab_size, (count, length + 1))
    return (ids | (2 << 14)).to(torch.int32).to(torch.int16)


def test_logits_are_those_of_the_reference_on_the_exported_checkpoint(tmp_path: Path) -> None:
    network = randomised(TINY)
    state = {name: tensor.half().float() for name, tensor in network.state_dict().items()}
    network.load_state_dict(state)
    write_checkpoint(tmp_path, checkpoint_config(TINY), state, {})
    model = load_checkpoint(tmp_path)
    ids = torch.randint(0, TINY.vocab_size, (1, 40))
    store = model.new_kv(5, 8)
    expected = model.forward(ids[0].tolist(), 0, list(range(5)), store, 40)
    with torch.no_grad():
        logits = network(ids)[0]
    assert logits.std() > 0.1
    torch.testing.assert_close(logits, expected, atol=1e-3, rtol=0)


@pytest.mark.filterwarnings("ignore")  # torch says that uncompiled flex attention is slow
@pytest.mark.parametrize("window", [0, 8])
def test_fused_attention_computes_what_plain_attention_does(window: int) -> None:
    torch.manual_seed(0)
    query, key, value = (torch.randn(1, 2, 128, 16) for _ in range(3))
    sinks = torch.tensor([0.5, 3.0])
    mask = fused_mask(window, 128, torch.device("cpu"))
    fused = fused_attention(query, key, value, sinks, mask)
    plain = plain_attention(query, key, value, sinks, window)
    torch.testing.assert_close(fused, plain, atol=1e-5, rtol=0)


def test_muon_makes_singular_values_alike() -> None:
    torch.manual_seed(0)
    for rows_, columns in ((48, 32), (32, 48)):
        values = torch.linalg.svdvals(orthogonal(torch.randn(3, rows_, columns)))
        assert 0.5 < float(values.min()) and float(values.max()) < 1.5


def trainer() -> Trainer:
    config = TrainingConfig(
        TINY, RowShape(row_len=48), replace(Schedule(), warmup_steps=1, adam_lr=1e-2, muon_lr=1e-2)
    )
    return Trainer(config, torch.device("cpu"))


def test_training_learns_and_resumes_exactly(tmp_path: Path) -> None:
    torch.manual_seed(0)
    data = rows(4, 48)
    first = trainer()
    losses = [float(first.step(data, 1.0)[0]) for _ in range(12)]
    assert losses[-1] < losses[0] - 0.5
    assert first.save(tmp_path / "checkpoint.pt")
    second = trainer()
    second.load(tmp_path / "checkpoint.pt")
    assert second.progress == first.progress
    for _ in range(2):
        assert torch.equal(first.step(data, 0.5), second.step(data, 0.5))


def _spoilt_loss(*arguments: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    loss, plain, middle = weighted_loss(*arguments)
    return loss * float("nan"), plain, middle


def test_a_bad_gradient_changes_nothing_lasting(monkeypatch: pytest.MonkeyPatch) -> None:
    trained = trainer()
    trained.step(rows(2, 48), 1.0)
    before = {name: tensor.clone() for name, tensor in trained.network.state_dict().items()}
    monkeypatch.setattr(trained, "_loss", _spoilt_loss)
    trained.step(rows(2, 48), 1.0)
    after = trained.network.state_dict()
    assert all(bool(torch.isfinite(tensor).all()) for tensor in after.values())
    assert max(float((after[name] - before[name]).abs().max()) for name in before) < 0.1


def test_weights_that_are_not_finite_are_not_saved(tmp_path: Path) -> None:
    broken = trainer()
    broken.network.lm_head.weight.data[0, 0] = float("nan")
    assert not broken.save(tmp_path / "checkpoint.pt")
    assert not list(tmp_path.iterdir())


def test_learning_rate_warms_up_holds_and_falls_to_zero() -> None:
    schedule = replace(Schedule(), warmup_steps=10, decay_from=0.5)
    assert learning_rate_factor(schedule, 0, 0.0) == pytest.approx(0.1)
    assert learning_rate_factor(schedule, 100, 0.4) == 1.0
    assert learning_rate_factor(schedule, 100, 0.75) == pytest.approx(0.5)
    assert learning_rate_factor(schedule, 100, 1.0) == 0.0
