"""True text typed again key by key, as an editor sees it: what was shown, what it cost.

A line break is typed with the indentation behind it, as editors do. Each key edits the document and asks
anew. A patient typist waits for each answer; a hasty one types on as soon as there is text, so that the
model is still writing.
"""

import re
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from inkling.core import Usage
from inkling.evaluation.editor import Editor, State
from inkling.evaluation.holes import Hole
from inkling.tokenizer import Tokenizer

Pace = Literal["patient", "hasty"]
PACES: tuple[Pace, ...] = ("patient", "hasty")

_KEYS = re.compile(r"\n[ \t]*|.", re.DOTALL)


@dataclass(frozen=True)
class Key:
    """One key. `before` stood on the screen, `after` was the first text for the new place.

    `is_correct`: all of `before` is what the user goes on to type. `is_call`: the model was asked at
    this key; else it was answered from what is known. `is_flicker`: text changed that was typed
    along, or that had just been shown. `latency_ms`: to the first text, or to an empty answer.
    """

    typed: str
    before: str
    after: str
    is_correct: bool
    is_call: bool
    is_flicker: bool
    latency_ms: float
    call: str

    @property
    def is_typed_along(self) -> bool:
        """Whether the user typed what was shown."""
        return self.before.startswith(self.typed)


@dataclass(frozen=True)
class Replay:
    """One true text typed at one pace. `usages` are those of the model calls that told them: a call
    that was ended before the model ended it has none."""

    hole: Hole
    pace: Pace
    keys: tuple[Key, ...]
    usages: Mapping[str, Usage]

    @property
    def num_flickers(self) -> int:
        return sum(key.is_flicker for key in self.keys)

    @property
    def calls(self) -> tuple[str, ...]:
        """The model calls that a key waited for, in order."""
        return tuple(key.call for key in self.keys if key.is_call)

    @property
    def reuses(self) -> tuple[float, ...]:
        """Of each such call but the first: the share of the prompt found in the KV cache."""
        usages = (self.usages.get(call) for call in self.calls[1:])
        return tuple(it.reused / it.prompt_tokens for it in usages if it and it.prompt_tokens)

    @property
    def correct_chars(self) -> int:
        """Characters typed of completions that were correct."""
        return sum(len(key.typed) for key in self.keys if key.is_correct)

    @property
    def free_chars(self) -> int:
        """Those of them whose key asked the model nothing."""
        return sum(len(key.typed) for key in self.keys if key.is_correct and not key.is_call)

    def num_decoded(self) -> int:
        """Tokens that the model wrote, as far as calls told."""
        return sum(usage.completion_tokens for usage in self.usages.values())

    def num_used(self, tokenizer: Tokenizer) -> int:
        """Tokens of the text that was typed along: the rest of what was decoded is waste."""
        text = "".join(key.typed if key.is_typed_along else "\0" for key in self.keys)
        return sum(len(tokenizer.encode(run)) for run in text.split("\0") if run)


async def replay(editor: Editor, uri: str, hole: Hole, pace: Pace) -> Replay:
    """Delete a hole's text and type it again."""
    editor.open(uri, hole.source.language, hole.document)
    typing = _Typing(editor, uri, hole, pace)
    for typed in ("", *_KEYS.findall(hole.truth)):
        await typing.press(typed)
    editor.close(uri)
    return Replay(hole, pace, tuple(typing.keys), typing.usages)


class _Typing:
    """A replay on its way."""

    def __init__(self, editor: Editor, uri: str, hole: Hole, pace: Pace) -> None:
        self.keys: list[Key] = []
        self.usages: dict[str, Usage] = {}
        self._editor, self._uri, self._hole, self._pace = editor, uri, hole, pace
        self._typed_len = 0
        self._shown = ""
        self._calls: set[str] = set()

    async def press(self, typed: str) -> None:
        """Type one key ("": only ask) and take in what is shown for it."""
        hole, before = self._hole, self._shown
        left = hole.truth[self._typed_len :]
        if typed:
            self._editor.type(self._uri, hole.start + self._typed_len, typed)
            self._typed_len += len(typed)
        states = await self._states(hole.start + self._typed_len)
        asked = [it for it in states if not it.from_cache and it.call not in self._calls]
        # What an editor shows by itself until the answer comes.
        expected = before[len(typed) :] if before.startswith(typed) else ""
        shown = [expected, *(state.text for state in states)]
        self.keys.append(
            Key(
                typed=typed,
                before=before,
                after=states[0].text if states else "",
                is_correct=bool(before) and left.startswith(before),
                is_call=any(it.call for it in asked),
                is_flicker=any(not later.startswith(earlier) for earlier, later in pairwise(shown)),
                latency_ms=states[0].after_ms if states else 0.0,
                call=states[-1].call if states else "",
            )
        )
        self._calls.update(state.call for state in states)
        self.usages.update({it.call: it.usage for it in states if it.usage is not None})
        self._shown = shown[-1]

    async def _states(self, offset: int) -> list[State]:
        """What the key brought: all of it, or for a hasty typist the first text."""
        states: list[State] = []
        async with aclosing(self._editor.complete(self._uri, offset)) as following:
            async for state in following:
                states.append(state)
                if self._pace == "hasty" and state.text:
                    break
        return states
