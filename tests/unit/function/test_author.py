"""Functions from descriptions, with a script instead of a model; `‸` is the cursor."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import replace
from typing import cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inkling.client import EngineClient, EngineModel, Piece, SamplingParams
from inkling.completer import Completer, Status
from inkling.config import Settings
from inkling.context.syntax import parse
from inkling.core import CompletionRequest, Priority
from inkling.errors import EngineRefused
from inkling.function.author import INVALID, NO_PLACE, FunctionWriting
from inkling.function.edit import edited
from tests.pictures import at_cursor, document
from tests.unit.completer.asking import until
from tests.unit.completer.fake_client import TOKENIZER, FakeClient
from tests.unit.function.conftest import Indexed

STUB = "x = 1\n\n\ndef total(prices):\n    '''Sum of all prices.'''\n    ...‸\n\n\ny = 2\n"


class Client(FakeClient):
    """Also knows the ids it was asked with, and may be of another kind."""

    def __init__(self) -> None:
        super().__init__()
        self.kind = "demo"
        self.ids: list[list[int]] = []
        self.thoughts = ""

    async def model(self) -> EngineModel:
        return replace(await super().model(), kind=self.kind, context_len=8192)

    async def generate(
        self,
        prompt: list[int],
        params: SamplingParams,
        priority: Priority = Priority.INTERACTIVE,
        healing: int = 0,
    ) -> AsyncGenerator[Piece, None]:
        self.ids.append(prompt)
        script, is_thinking = self.script, TOKENIZER.decode(prompt).endswith("analysis")
        self.script = self.thoughts if is_thinking else script
        try:
            async for piece in super().generate(prompt, params, priority, healing):
                self.script = script
                yield piece
        finally:
            self.script = script


@pytest.fixture
async def client() -> Client:
    return Client()


@pytest.fixture
async def completer(client: Client) -> AsyncIterator[Completer]:
    statuses: list[Status] = []
    completer = Completer(cast(EngineClient, client), Settings(), statuses.append)
    yield completer
    await completer.aclose()
    assert client.num_running == 0


def asked(picture: str, language: str = "python", path: str = "src/app.py") -> CompletionRequest:
    text, offset = at_cursor(picture)
    return CompletionRequest(document(text, language, path), offset)


async def last(completer: Completer, request: CompletionRequest) -> FunctionWriting:
    states = [state async for state in completer.write_function(request)]
    assert [it.is_final for it in states] == [False] * (len(states) - 1) + [True]
    return states[-1]


async def after(completer: Completer, picture: str, language: str = "python") -> str:
    request = asked(picture, language)
    final = await last(completer, request)
    assert bool(final.edits) != bool(final.silence)
    return edited(request.document.text, final.edits)


async def test_a_placeholder_is_replaced(completer: Completer, client: Client) -> None:
    client.script = "return sum(prices)\n\n\ndef other():\n    pass\n"
    assert await after(completer, STUB) == (
        "x = 1\n\n\ndef total(prices):\n    '''Sum of all prices.'''\n    return sum(prices)\n\n\ny = 2\n"
    )
    assert "..." not in client.prompts[-1]


async def test_a_comment_gets_its_function(completer: Completer, client: Client) -> None:
    client.script = "\n\ndef total(prices):\n    return sum(prices)\n"
    whole = "# sum of all prices\ndef total(prices):\n    return sum(prices)\n"
    assert await after(completer, "# sum of all prices‸\n") == whole
    assert await after(completer, "# sum of all prices\n‸") == whole.rstrip()


async def test_braces_stay_around_a_body(completer: Completer, client: Client) -> None:
    client.script = "return prices.length;\n}\n"
    picture = "function num(prices) {‸}\nlet y = 2;\r\n"
    assert await after(completer, picture, "javascript") == (
        "function num(prices) {\r\n  return prices.length;\r\n}\nlet y = 2;\r\n"
    )


async def test_why_nothing_is_written(completer: Completer, client: Client) -> None:
    assert (await last(completer, asked("x = 1‸"))).silence == NO_PLACE
    client.script = "return 1 +\n"
    assert (await last(completer, asked("def f():‸\n\nx = [\n1]\n"))).silence == INVALID
    client.script = "return (((\n"
    assert "a statement left open" in (await last(completer, asked(STUB))).silence
    client.script = ""
    assert "wrote no function" in (await last(completer, asked(STUB))).silence
    completer.update_settings(Settings(disabled_languages=("python",)))
    assert "disabled for python" in (await last(completer, asked(STUB))).silence
    completer.update_settings(Settings())
    client.failure = EngineRefused("no room: end others.")
    completer._writer._engine = None
    assert (await last(completer, asked(STUB))).silence == "no room: end others."


async def test_closing_ends_the_models_work(completer: Completer, client: Client) -> None:
    client.script = "return sum(prices)\n" * 50
    writing = completer.write_function(asked(STUB))
    client.gate.clear()
    task = asyncio.create_task(anext(writing))
    await until(lambda: client.num_running == 1)
    task.cancel()
    await asyncio.wait([task])
    await until(lambda: client.num_running == 0)


async def test_what_is_thought_is_asked_for_first_and_never_seen(
    completer: Completer, client: Client
) -> None:
    client.kind, client.thoughts = "exl2", "They want a sum, so sum() will do."
    client.script = "return sum(prices)\n"
    completer.update_settings(Settings(reasoning_tokens=77, function_tokens=99))
    text = await after(completer, STUB)
    assert "They want" not in text
    assert "return sum(prices)" in text
    assert [it.max_tokens for it in client.params] == [77, 99]
    analysis, answer = client.ids
    assert answer[: len(analysis)] == analysis
    thoughts = client.thoughts
    rest = answer[len(analysis) :]
    end = rest.index(TOKENIZER.special["<|end|>"])
    assert TOKENIZER.decode(rest[:end]) == thoughts
    assert TOKENIZER.decode(rest[end:]).startswith("assistantfinal")
    assert TOKENIZER.decode(rest).endswith("Sum of all prices.'''\n    ")


@pytest.mark.parametrize(("kind", "budget"), [("demo", 256), ("stub", 256), ("exl2", 0)])
async def test_without_reasoning_there_is_one_request(
    completer: Completer, client: Client, kind: str, budget: int
) -> None:
    client.kind, client.script = kind, "return 1\n"
    completer.update_settings(Settings(reasoning_tokens=budget))
    await after(completer, STUB)
    assert len(client.ids) == 1
    assert not client.prompts[0].endswith("analysis")


async def test_ghost_text_may_be_as_long_as_a_function(
    completer: Completer, client: Client
) -> None:
    client.script = "def total(prices):\n    return sum(prices)\n"
    for picture in ("# sum of all prices\n‸\n", "x = 1\n\n‸\n", "def f(a):\n    return a\n    ‸"):
        _ = [state async for state in completer.complete(asked(picture))]
    assert [it.max_tokens for it in client.params] == [512, 160, 160]


async def test_examples_stand_in_prompts_of_keys_and_of_the_command(
    completer: Completer, client: Client, indexed: Indexed
) -> None:
    workspace = indexed(
        "a/deep/one.py: def basket_total(basket):\\n    return basket.prices.total()\\n\n"
        "a/two.py: def unrelated(zebra):\\n    return zebra\\n\n"
        "app.py: \n"
    )
    await completer._writer.workspaces.set_roots([workspace.root], is_indexed=False)
    client.script = "def total(prices):\n    return 1\n"
    text, offset = at_cursor("# the total of a basket\n‸\n")
    shown = replace(document(text), uri=(workspace.root / "app.py").as_uri(), path="app.py")
    typed = replace(shown, text=text[:-1] + "#\n")
    _ = [it async for it in completer.complete(CompletionRequest(typed, 5))]
    assert "zebra" not in client.prompts[-1]
    _ = [it async for it in completer.complete(CompletionRequest(shown, offset))]
    await last(completer, CompletionRequest(shown, offset))
    for prompt in client.prompts[-2:]:
        assert "def basket_total(basket):\n    return basket.prices.total()" in prompt


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    script=st.lists(
        st.sampled_from(
            ["def f():\n", "    return 1\n", "return 1\n", "  x = (\n", ")", "'''", "\n", "}", "{"]
            + ["# c\n", "é\r\n", "```\n", "def g(", "    "]
        )
    ).map("".join),
    picture=st.sampled_from(
        [
            (STUB, "python"),
            ("# sum of all prices‸\n\n\ny = 2\n", "python"),
            ("class A:\n    # sum of all prices\n    ‸\n\n    z = 1\n", "python"),
            ("def broken(:\n\n\n# sum of all prices‸\n", "python"),
            ("function f(a) {\r\n  // TODO\r\n  ‸\r\n}\r\nlet y = 2;\r\n", "javascript"),
            ("/** Sum of all. */‸\n\nexport const y = [2];\n", "typescript"),
        ]
    ),
)
async def test_whatever_is_written_the_rest_stays_and_no_error_comes_in(
    script: str, picture: tuple[str, str]
) -> None:
    client = Client()
    client.script = script
    completer = Completer(cast(EngineClient, client), Settings(), lambda status: None)
    request = asked(*picture)
    text, language = request.document.text, request.document.language
    final = await last(completer, request)
    result = edited(text, final.edits)
    for edit in final.edits:
        assert text[edit.start : edit.end].strip() in ("", "...", "// TODO")
    if len(final.edits) == 1:
        [edit] = final.edits
        assert result.startswith(text[: edit.start])
        assert result.endswith(text[edit.end :])
    before, now = parse(language, text), parse(language, result)
    assert before is not None and now is not None
    assert before.tree.root_node.has_error or not now.tree.root_node.has_error
    await completer.aclose()
