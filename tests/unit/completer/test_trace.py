"""What was sent to the model, as the user may look at it."""

from inkling.completer import Completer
from inkling.trace import REMEMBERED
from tests.unit.completer.asking import final
from tests.unit.completer.fake_client import FakeClient


async def test_each_call_with_its_prompt_answer_and_cost(
    completer: Completer, fake: FakeClient
) -> None:
    assert "Nothing yet" in completer.trace_page()
    fake.script = "a + b"
    await final(completer, "def add(a, b):\n    return ‸\n")
    page = completer.trace_page()
    assert "src/app.py: completion" in page
    assert "to fake model, this machine" in page
    assert "<|start|>assistant<|channel|>final<|message|>def add(a, b):\n    return \n```" in page
    assert "Answer:\n\n```\na + b\n```" in page
    assert "redacted**" not in page


async def test_a_secret_is_marked_and_not_shown(completer: Completer, fake: FakeClient) -> None:
    fake.script = "1"
    secret = "ghp_" + "a1B2" * 9
    await final(completer, f'KEY = "{secret}"\nx = ‸\n')
    page = completer.trace_page()
    assert "**1 redacted**" in page
    assert secret not in page
    assert secret not in fake.prompts[0]


async def test_a_fence_in_the_code_does_not_end_the_page(
    completer: Completer, fake: FakeClient
) -> None:
    fake.script = "1"
    await final(completer, '"""\n```\n"""\nx = ‸\n')
    assert "\n````\n" in completer.trace_page()


async def test_only_the_last_calls_are_remembered(completer: Completer, fake: FakeClient) -> None:
    fake.script = "1"
    for number in range(REMEMBERED + 2):
        await final(completer, f"x{number} = ‸\n")
    page = completer.trace_page()
    assert "x2 = " in page
    assert "x1 = " not in page
