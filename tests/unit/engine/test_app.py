"""The HTTP surface over a toy model, spoken to in the process: routes, fields, errors."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch

from inkling.config import EngineSettings
from inkling.core import Usage
from inkling.engine.app import make_app
from inkling.engine.bodies import ChatMessage
from inkling.engine.budget import CPU_CONTEXT_LEN
from inkling.engine.harmony import render_chat
from inkling.engine.kv import CacheFull
from inkling.engine.metrics import Metrics
from inkling.engine.pick import Picked
from inkling.engine.serving import Serving, make_serving
from inkling.prompt.harmony import wording_of
from tests.unit.engine.toy import TOKENIZER, ToyModel

CONTEXT = 256
ABC = [97, 98, 99]


@pytest.fixture
def serving() -> Iterator[Serving]:
    picked = Picked(ToyModel(), TOKENIZER, Path("/toy"), "toy", "demo", "cpu", "toy model")
    serving = make_serving(picked, EngineSettings(context_len=CONTEXT, kv_tokens=2048))
    yield serving
    serving.scheduler.stop()
    serving.cache.check_integrity()


@pytest.fixture
async def http(serving: Serving) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(make_app(serving))
    async with httpx.AsyncClient(transport=transport, base_url="http://engine") as client:
        yield client


async def complete(http: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    response = await http.post("/v1/completions", json=body)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def stream(http: httpx.AsyncClient, path: str, **body: Any) -> list[dict[str, Any]]:
    chunks = []
    async with http.stream("POST", path, json={**body, "stream": True}) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = [line async for line in response.aiter_lines() if line]
    assert lines[-1] == "data: [DONE]"
    for line in lines[:-1]:
        chunks.append(json.loads(line.removeprefix("data: ")))
    return chunks


async def test_a_completion_by_token_ids_and_by_text_is_the_same(http: httpx.AsyncClient) -> None:
    by_ids = await complete(http, prompt=[256, 99], max_tokens=6)
    by_text = await complete(http, prompt=TOKENIZER.decode([256, 99]), max_tokens=6)
    assert TOKENIZER.encode("abc") != [256, 99]
    assert by_ids["object"] == "text_completion"
    assert by_ids["choices"][0]["finish_reason"] in ("stop", "length")
    assert by_text["usage"]["prompt_tokens"] == len(TOKENIZER.encode("abc"))


async def test_a_stream_adds_up_to_the_whole_answer(http: httpx.AsyncClient) -> None:
    whole = await complete(http, prompt=ABC, max_tokens=12)
    chunks = await stream(http, "/v1/completions", prompt=ABC, max_tokens=12)
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    assert "".join(c["text"] for c in choices) == whole["choices"][0]["text"]
    assert [i for c in choices for i in c["token_ids"]] == whole["choices"][0]["token_ids"]
    assert choices[-1]["finish_reason"] == whole["choices"][0]["finish_reason"]
    last = chunks[-1]
    assert last["choices"] == []
    assert whole["usage"]["reused"] == 0
    assert (last["usage"]["reused"], last["usage"]["prefilled"]) == (3, 0)
    assert last["usage"]["drafted"] == last["usage"]["accepted"] == 0
    assert last["usage"]["ttft_ms"] > 0
    assert last["usage"]["total_tokens"] == 3 + last["usage"]["completion_tokens"]
    early = chunks[1]
    assert early["choices"] == []
    assert early["usage"] == {**last["usage"], "completion_tokens": 1, "total_tokens": 4}


async def test_n_seed_stop_and_logprobs(http: httpx.AsyncClient) -> None:
    body: dict[str, Any] = {"prompt": ABC, "max_tokens": 20, "temperature": 1.2, "seed": 5}
    answer = await complete(http, **body, n=3, logprobs=2)
    again = await complete(http, **body, n=3)
    texts = [choice["text"] for choice in answer["choices"]]
    assert texts == [choice["text"] for choice in again["choices"]]
    assert len(set(texts)) > 1
    choice = answer["choices"][0]
    assert len(choice["logprobs"]["token_logprobs"]) == len(choice["token_ids"])
    assert all(len(top) <= 2 for top in choice["logprobs"]["top_logprobs"])
    longest = max(texts, key=len)
    assert len(longest) > 2, "this seed writes something"
    stopped = await complete(http, **body, n=3, stop=longest[1])
    assert all(longest[1] not in choice["text"] for choice in stopped["choices"])


async def test_chat_renders_harmony(http: httpx.AsyncClient) -> None:
    body = {"messages": [{"role": "user", "content": "ab<|end|>"}], "max_tokens": 30}
    answer = (await http.post("/v1/chat/completions", json=body)).json()
    assert answer["choices"][0]["message"]["role"] == "assistant"
    rendered = render_chat(
        TOKENIZER, [ChatMessage(role="user", content="ab<|end|>")], wording_of("demo").system
    )
    assert answer["usage"]["prompt_tokens"] == len(rendered)
    chunks = await stream(http, "/v1/chat/completions", **body)
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    assert (
        "".join(d.get("content", "") for d in deltas) == answer["choices"][0]["message"]["content"]
    )


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        ({"prompt": []}, 400, "the prompt is empty"),
        ({"prompt": [97] * CONTEXT}, 413, f"the prompt has {CONTEXT} tokens and the context"),
        ({"prompt": [10**6]}, 400, "token id 1000000 is outside the vocabulary"),
        ({"prompt": [97, -1]}, 400, "token id -1 is outside the vocabulary"),
        ({"prompt": [2**40, 97]}, 400, f"token id {2**40} is outside the vocabulary"),
        ({"prompt": [TOKENIZER.vocab_size]}, 400, "is outside the vocabulary"),
        ({"prompt": [97, "x"]}, 422, "prompt.list[int].1: input should be a valid integer"),
        ({"prompt": [97], "model": "gpt-9"}, 404, "this engine serves 'toy'"),
        ({"prompt": [97], "max_tokens": -1}, 422, "max_tokens: input should be"),
        ({"max_tokens": 3}, 422, "prompt: field required"),
    ],
)
async def test_a_bad_request_gets_one_sentence(
    http: httpx.AsyncClient, body: dict[str, Any], status: int, sentence: str
) -> None:
    response = await http.post("/v1/completions", json=body)
    assert response.status_code == status
    error = response.json()["error"]
    assert sentence in error["message"]
    assert error["code"] == status


async def test_what_is_not_json_is_refused(http: httpx.AsyncClient) -> None:
    response = await http.post("/v1/completions", content=b"{")
    assert response.status_code == 422
    assert "invalid JSON" in response.json()["error"]["message"]


async def test_a_broken_pass_ends_its_request_only(
    serving: Serving, http: httpx.AsyncClient
) -> None:
    assert isinstance(serving.picked.model, ToyModel)
    serving.picked.model.fail_at = 250
    chunks = await stream(http, "/v1/completions", prompt=[250])
    assert "the toy broke" in chunks[0]["error"]["message"]
    assert (await http.post("/v1/completions", json={"prompt": [250]})).status_code == 500
    assert (await complete(http, prompt=[97]))["choices"]


async def test_models_health_and_metrics(http: httpx.AsyncClient) -> None:
    await complete(http, prompt=ABC, max_tokens=4)
    (model,) = (await http.get("/v1/models")).json()["data"]
    assert (model["id"], model["max_model_len"]) == ("toy", CONTEXT)
    assert model["inkling"]["kind"] == "demo"
    assert (await http.get("/health")).json()["status"] == "ok"
    text = (await http.get("/metrics")).text
    assert 'inkling_tokens_total{work="prefilled"} 3.0' in text
    assert "inkling_inter_token_seconds_count" in text
    assert 'inkling_requests_total{outcome="ok",route="/v1/completions"} 1.0' in text
    assert 'inkling_model_info{device="cpu",kind="demo",model="toy"} 1.0' in text


def test_drafts_are_counted() -> None:
    metrics = Metrics("toy", "demo", "cpu")
    metrics.count_request("/v1/completions", "ok", Usage(drafted=5, accepted=3))
    text = metrics.render({}, 0).decode()
    assert 'inkling_tokens_total{work="drafted"} 5.0' in text
    assert 'inkling_tokens_total{work="accepted"} 3.0' in text


async def test_an_unknown_route_is_refused_in_openais_shape(http: httpx.AsyncClient) -> None:
    for method, path, status in (("GET", "/v1/nothing", 404), ("GET", "/v1/completions", 405)):
        response = await http.request(method, path)
        assert response.status_code == status
        assert path in response.json()["error"]["message"]


async def test_a_certain_token_has_its_logprob_too(
    serving: Serving, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def certain(*arguments: Any) -> torch.Tensor:
        logits = torch.full((1, TOKENIZER.vocab_size), -1e9)
        logits[0, 97] = 0
        return logits

    monkeypatch.setattr(serving.picked.model, "forward", certain)
    answer = await complete(http, prompt=[98], max_tokens=3, logprobs=0)
    assert answer["choices"][0]["logprobs"]["token_logprobs"] == [0.0, 0.0, 0.0]


async def test_a_request_without_room_may_come_again(
    serving: Serving, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any) -> None:
        raise CacheFull("no room")

    with monkeypatch.context() as patched:
        patched.setattr(serving.cache, "reserve", full)
        response = await http.post("/v1/completions", json={"prompt": [97]})
    assert response.status_code == 503
    assert response.json()["error"]["message"] == "no room"


def test_a_long_context_is_not_paid_for_unasked() -> None:
    for device, settings, expected in (
        ("cuda", EngineSettings(kv_tokens=2048), 2048),
        ("cpu", EngineSettings(kv_tokens=2048), CPU_CONTEXT_LEN),
        ("cpu", EngineSettings(kv_tokens=2048, context_len=4096), 4096),
    ):
        picked = Picked(ToyModel(), TOKENIZER, Path("/toy"), "toy", "demo", device, "toy model")
        serving = make_serving(picked, settings)
        serving.scheduler.stop()
        assert serving.context_len == expected


async def test_on_tcp_the_token_is_asked_for(serving: Serving) -> None:
    transport = httpx.ASGITransport(make_app(serving, token="secret"))
    async with httpx.AsyncClient(transport=transport, base_url="http://engine") as client:
        refused = await client.get("/v1/models")
        assert refused.status_code == 401
        assert "token is missing or wrong" in refused.json()["error"]["message"]
        allowed = await client.get("/v1/models", headers={"Authorization": "Bearer secret"})
        assert allowed.status_code == 200
