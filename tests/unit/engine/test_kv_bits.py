"""An engine whose KV cache has 8 bits, with the demo model on the CPU."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import torch
from torch import Tensor

from inkling.config import EngineSettings
from inkling.engine.app import make_app
from inkling.engine.budget import PAGE_LEN
from inkling.engine.model.base import KVStore, Model
from inkling.engine.model.paged_kv import KVBits, PagedKV
from inkling.engine.pick import Picked, pick_model
from inkling.engine.serving import Serving, make_serving
from inkling.errors import TooLarge
from tests.unit.engine.toy import TOKENIZER, ToyModel

TEXT = Path(__file__).read_text()
SETTINGS = EngineSettings(device="cpu", kv_bits=8, kv_tokens=2048)


@pytest.fixture(scope="module")
def picked() -> Picked:
    return pick_model(SETTINGS)


@pytest.fixture
def serving(picked: Picked) -> Iterator[Serving]:
    serving = make_serving(picked, SETTINGS)
    yield serving
    serving.scheduler.stop()
    serving.cache.check_integrity()


async def test_it_completes_and_reuses_what_it_has(serving: Serving) -> None:
    store = serving.cache.store
    assert isinstance(store, PagedKV) and store.bytes_per_token == 2 * 8 * 2 * (64 + 2)
    prompt = serving.tokenizer.encode(TEXT)[:300]
    transport = httpx.ASGITransport(make_app(serving))
    async with httpx.AsyncClient(transport=transport, base_url="http://engine") as client:
        answers = []
        for _ in range(2):
            body = {"prompt": prompt, "max_tokens": 12, "temperature": 0}
            response = await client.post("/v1/completions", json=body)
            assert response.status_code == 200, response.text
            answers.append(response.json()["choices"][0]["text"])
    assert answers[0] == answers[1] != ""


def logits(model: Model, ids: list[int], bits: KVBits) -> Tensor:
    """Of a prompt, and of each token that is then appended alone."""
    num_pages = len(ids) // PAGE_LEN + 1
    kv, pages = model.new_kv(num_pages, PAGE_LEN, bits), range(num_pages)
    whole = model.forward(ids[:-8], 0, pages, kv, len(ids) - 8)
    single = [model.forward([ids[at]], at, pages, kv, 1) for at in range(len(ids) - 8, len(ids))]
    return torch.cat((whole, *single))


def test_what_the_model_says_is_nearly_what_it_says_with_16_bits(picked: Picked) -> None:
    ids = picked.tokenizer.encode(TEXT)[:400]
    p = logits(picked.model, ids, 16).log_softmax(-1)
    q = logits(picked.model, ids, 8).log_softmax(-1)
    divergence = (p.exp() * (p - q)).sum(-1)
    assert 0 < divergence.mean() < 1e-3


@pytest.mark.parametrize(("bits", "cure"), [(16, ", or set engine.kv_bits to 8."), (8, ".")])
def test_a_cache_that_does_not_fit_after_all(bits: KVBits, cure: str) -> None:
    asked = []

    class Full(ToyModel):
        def new_kv(self, num_pages: int, page_len: int, bits: KVBits = 16) -> KVStore:
            asked.append(bits)
            raise torch.OutOfMemoryError("CUDA out of memory")

    picked = Picked(Full(), TOKENIZER, Path("/toy"), "toy", "exl2", "cuda", "toy model")
    with pytest.raises(TooLarge) as caught:
        make_serving(picked, EngineSettings(kv_bits=bits))
    assert str(caught.value).endswith(f"or lower engine.kv_tokens{cure}")
    assert asked == [bits]
