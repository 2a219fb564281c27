"""Between keys: related code is chosen again and prefilled, and no key finds it half done."""

import asyncio
from dataclasses import replace

import pytest

from inkling import completions
from inkling.completer import Completer
from inkling.core import Chunk, CompletionRequest
from tests.unit.completer.asking import final, request, until
from tests.unit.completer.fake_client import FakeClient

NEWS = Chunk("src/other.py", "def brand_new(alpha, beta):\n    return alpha + beta")


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completions, "IDLE_S", 0.03)


def with_news(picture: str) -> CompletionRequest:
    return replace(request(picture), recent=(NEWS,))


def has_news(prompt: str) -> bool:
    return "brand_new" in prompt


async def test_what_changed_elsewhere_reaches_the_prompt_when_the_user_pauses(
    completer: Completer, fake: FakeClient
) -> None:
    fake.script = "one\n"
    await final(completer, "x = ‸\n")
    await final(completer, with_news("x = 1‸\n"))
    assert not has_news(fake.prompts[-1])  # frozen while keys come
    await until(lambda: any(map(has_news, fake.ahead)))
    prefilled = next(filter(has_news, fake.ahead))
    await asyncio.sleep(0.02)
    await final(completer, with_news("x = 12‸\n"))
    assert fake.prompts[-1].startswith(prefilled.removesuffix("1"))


async def test_a_key_comes_first(completer: Completer, fake: FakeClient) -> None:
    fake.script = "one\n"
    await final(completer, "x = ‸\n")
    for typed in ("1", "12", "123", "1234"):
        await final(completer, with_news(f"x = {typed}‸\n"))
        await asyncio.sleep(0.01)
        assert not has_news(fake.prompts[-1])


async def test_nothing_is_prefilled_that_is_there_already(
    completer: Completer, fake: FakeClient
) -> None:
    await final(completer, "x = ‸\n")
    await asyncio.sleep(0.1)
    assert fake.ahead == []


async def test_it_ends_with_its_document(completer: Completer, fake: FakeClient) -> None:
    await final(completer, "x = ‸\n")
    asked = with_news("x = 1‸\n")
    await final(completer, asked)
    completer.closed(asked.document.uri)
    await asyncio.sleep(0.1)
    assert not any(map(has_news, fake.ahead))
