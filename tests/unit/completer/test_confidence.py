"""What the model is not sure of."""

import itertools

from inkling.completer import Completer
from inkling.config import Settings
from inkling.core import TriggerKind
from tests.unit.completer.asking import final, request
from tests.unit.completer.fake_client import FakeClient

CAUTIOUS = Settings(min_confidence=0.5)


async def test_what_the_model_is_not_sure_of_is_for_those_who_ask(
    completer: Completer, fake: FakeClient
) -> None:
    completer.update_settings(CAUTIOUS)
    fake.script, fake.logprob = "alpha", -3.0
    hidden = await final(completer, "x = ‸\n")
    assert (hidden.text, hidden.silence) == ("", "filtered: low confidence")
    assert (await final(completer, "x = ‸\n")).from_cache
    asked = request("x = ‸\n", trigger=TriggerKind.INVOKED)
    assert (await final(completer, asked)).text == "alpha"
    assert fake.params[0].logprobs == 0
    assert fake.params[1].logprobs is None


async def test_a_bracket_that_ends_an_unsure_line_does_not_save_it(
    completer: Completer, fake: FakeClient
) -> None:
    completer.update_settings(CAUTIOUS)
    fake.script, fake.logprob = "alpha, beta), gamma", -3.0
    assert (await final(completer, "x = f(‸)\n")).silence == "filtered: low confidence"


async def test_of_an_unsure_block_the_sure_lines_are_shown_and_stay(
    completer: Completer, fake: FakeClient
) -> None:
    completer.update_settings(CAUTIOUS)
    fake.script = "\n    alpha\n    beta\n    gamma\n"
    seen = []
    async for state in completer.complete(request("def f():‸")):
        seen.append(state.text)
        if "alpha" in state.text:
            fake.logprob = -9.0
    assert seen[-1] in ("\n    alpha", "\n    alpha\n    beta")
    assert all(longer.startswith(shorter) for shorter, longer in itertools.pairwise(seen))


async def test_unless_told_to_be_cautious_the_model_is_asked_for_no_probabilities(
    completer: Completer, fake: FakeClient
) -> None:
    fake.script, fake.logprob = "alpha", -3.0
    assert (await final(completer, "x = ‸\n")).text == "alpha"
    assert fake.params[0].logprobs is None
