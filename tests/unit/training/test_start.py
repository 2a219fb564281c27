"""What training starts from is the checkpoint: the same weights, under the network's names."""

from pathlib import Path

import torch

from inkling.engine.exl2 import load_checkpoint, write_checkpoint
from tests.unit.training.test_network import TINY, randomised
from training.config import ModelShape
from training.export import checkpoint_config
from training.network import Network
from training.start import state_of

DEMO = Path(__file__).parents[3] / "server/inkling/models/demo"


def test_a_written_state_comes_back(tmp_path: Path) -> None:
    state = {name: it.half().float() for name, it in randomised(TINY).state_dict().items()}
    write_checkpoint(tmp_path, checkpoint_config(TINY), state, {})
    back = state_of(tmp_path)
    assert back.keys() == state.keys()
    for name, tensor in state.items():
        torch.testing.assert_close(back[name], tensor, atol=0, rtol=0)


def test_the_shipped_checkpoint_can_be_trained_on() -> None:
    network = Network(ModelShape())
    network.load_state_dict(state_of(DEMO))
    model = load_checkpoint(DEMO)
    ids = torch.randint(0, ModelShape().vocab_size, (1, 40))
    expected = model.forward(ids[0].tolist(), 0, list(range(5)), model.new_kv(5, 8), 40)
    with torch.no_grad():
        logits = network(ids)[0]
    torch.testing.assert_close(logits, expected, atol=2e-2, rtol=0)
