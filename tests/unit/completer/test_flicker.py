"""Random typing along and against a random model: what is on screen, and what it costs.

The model and the user follow texts of a few words, so that they often agree. The user may accept all
or a word, type on, type something else, take characters back; the editor closes brackets by itself.
"""

import asyncio
import re
from typing import cast

from hypothesis import given, settings
from hypothesis import strategies as st

from inkling.client import EngineClient
from inkling.completer import Completer
from inkling.config import Settings
from inkling.core import CompletionRequest
from tests.pictures import document
from tests.unit.completer.fake_client import FakeClient

WORDS = st.sampled_from(["a", "ab", "(", ")", " ", "f(", ", ", "\n    ", "\n", "1"])
ACTIONS = st.sampled_from(["along", "along", "along", "word", "all", "against", "back", "wait"])
HEAD, TAIL = "def f():", "\n"
CLOSERS = {"(": ")"}


class Editor:
    """The text around a cursor, the completion on screen, and the rules it must keep."""

    def __init__(self, fake: FakeClient, completer: Completer) -> None:
        self.fake, self.completer = fake, completer
        self.before, self.after = HEAD, TAIL
        self.shown = ""

    async def ask(self, expected: str | None) -> None:
        """Ask as after a key. What is left on screen of the `expected` text may only grow, and then
        no model call is made."""
        text = self.before + self.after
        num_asked = len(self.fake.prompts)
        shown = expected or ""
        request = CompletionRequest(document(text), len(self.before))
        async for state in self.completer.complete(request):
            assert state.text.startswith(shown), "what is on screen only grows"
            shown = state.text
        if expected:
            assert len(self.fake.prompts) == num_asked, "a key that agrees asks nothing"
            assert shown == expected
        self.shown = shown

    async def type(self, text: str) -> None:
        """Type or accept `text`; a bracket is closed by the editor, and a closer typed over."""
        agrees = self.shown.startswith(text)
        rest = self.shown[len(text) :] if agrees else ""
        closer = CLOSERS.get(text, "")
        if not closer and text in CLOSERS.values() and self.after.startswith(text):
            self.before, self.after = self.before + text, self.after[len(text) :]
            agrees = False  # typed over the editor's own: the text on screen ended before it
        else:
            self.before, self.after = self.before + text, closer + self.after
        # With a closer behind the cursor what is left ends before it: which part is not said here.
        await self.ask(rest if agrees and not closer else None)

    async def back(self) -> None:
        if len(self.before) > len(HEAD):
            self.before = self.before[:-1]
        await self.ask(None)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(WORDS, min_size=1, max_size=8).map("".join), min_size=1, max_size=6),
    st.lists(st.tuples(ACTIONS, WORDS), min_size=1, max_size=14),
)
def test_what_agrees_stays_and_costs_nothing(
    written: list[str], actions: list[tuple[str, str]]
) -> None:
    async def play() -> None:
        fake = FakeClient()
        fake.write = lambda prompt: written[len(prompt) % len(written)]
        completer = Completer(cast(EngineClient, fake), Settings(), lambda status: None)
        editor = Editor(fake, completer)
        await editor.ask(None)
        for action, word in actions:
            shown = editor.shown
            if action == "along" and shown:
                await editor.type(shown[0])
            elif action == "word" and shown:
                found = re.match(r"\s*\w+|\s+|\W", shown)
                await editor.type(found[0] if found else shown)
            elif action == "all" and shown:
                await editor.type(shown)
            elif action == "back":
                await editor.back()
            elif action == "wait":
                await asyncio.sleep(0.002)
                await editor.ask(shown or None)
            else:
                await editor.type(word)
        await completer.aclose()
        assert fake.most_interactive <= 1
        assert fake.num_running == 0
        assert asyncio.all_tasks() == {asyncio.current_task()}, "every task has ended"

    asyncio.run(play())


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(WORDS, st.integers(0, 4)), min_size=1, max_size=10))
def test_keys_that_do_not_wait_for_answers(keys: list[tuple[str, int]]) -> None:
    """Each key supersedes the request before it, wherever that is, as the language server does it."""

    async def play() -> None:
        fake = FakeClient("ab(a, 1)")
        completer = Completer(cast(EngineClient, fake), Settings(), lambda status: None)
        before, asked = HEAD, None

        async def read(text: str) -> str:
            request = CompletionRequest(document(text + TAIL), len(text))
            newest = ""
            async for state in completer.complete(request):
                assert state.text.startswith(newest)
                newest = state.text
            return newest

        for word, num_turns in keys:
            before += word
            if asked is not None:
                asked.cancel()
            asked = asyncio.create_task(read(before))
            for _ in range(num_turns):
                await asyncio.sleep(0.001)
        assert asked is not None
        await asked
        await completer.aclose()
        assert fake.most_interactive <= 1
        assert fake.num_running == 0
        assert asyncio.all_tasks() == {asyncio.current_task()}, "every task has ended"

    asyncio.run(play())
