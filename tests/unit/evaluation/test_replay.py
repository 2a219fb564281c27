"""What is counted while text is typed again, with a server that follows a script."""

from collections.abc import AsyncGenerator, Callable

from inkling.core import Usage
from inkling.evaluation.editor import Editor, State
from inkling.evaluation.holes import Hole
from inkling.evaluation.replay import Pace, Replay, replay
from inkling.evaluation.sources import Source

URI = "file:///a.py"


def shown(text: str, call: str, *, cached: bool = False, usage: Usage | None = None) -> State:
    return State(text, True, 5.0, call, cached, "", usage)


class ScriptedEditor(Editor):
    """`script` says what is shown once a text has been typed; it notes what is asked."""

    def __init__(self, script: Callable[[str], list[State]]) -> None:
        self.script = script
        self.typed: list[str] = []
        self.text = ""

    def open(self, uri: str, language: str, text: str) -> None:
        self.text, self.begin = text, text.index(")")

    def type(self, uri: str, offset: int, typed: str) -> None:
        self.typed.append(typed)
        self.text = self.text[:offset] + typed + self.text[offset:]

    async def complete(self, uri: str, offset: int) -> AsyncGenerator[State, None]:
        for state in self.script(self.text[self.begin : offset]):
            yield state

    def close(self, uri: str) -> None:
        assert self.text.endswith(")\n")


async def typed_again(
    truth: str, script: Callable[[str], list[State]], pace: Pace = "patient"
) -> Replay:
    source = Source("a.py", "python", f"f({truth})\n")
    hole = Hole("arguments", source, 2, 2 + len(truth), has_suffix=True)
    editor = ScriptedEditor(script)
    found = await replay(editor, URI, hole, pace)
    assert editor.text == source.text
    assert editor.typed == [key.typed for key in found.keys[1:]]
    return found


async def test_typing_what_is_shown_asks_nothing_and_changes_nothing() -> None:
    found = await typed_again(
        "abc", lambda typed: [shown("abc"[len(typed) :], "c1", cached=bool(typed))]
    )
    assert (found.calls, found.num_flickers) == (("c1",), 0)
    assert (found.correct_chars, found.free_chars) == (3, 3)
    assert [key.is_typed_along for key in found.keys[1:]] == [True] * 3


async def test_a_call_while_correct_text_is_typed_is_counted() -> None:
    def script(typed: str) -> list[State]:
        return [shown("abc"[len(typed) :], f"c{len(typed)}")]

    found = await typed_again("abc", script)
    assert found.calls == ("c0", "c1", "c2", "c3")
    assert (found.correct_chars, found.free_chars) == (3, 0)


async def test_text_that_changes_under_the_fingers_flickers() -> None:
    texts = {"": "abx", "a": "bx", "ab": "c", "abc": ""}
    found = await typed_again("abc", lambda typed: [shown(texts[typed], typed or "c")])
    assert [key.is_flicker for key in found.keys] == [False, False, True, False]
    assert found.correct_chars == 1  # "c", shown before the last key


async def test_text_that_vanishes_flickers_and_text_that_grows_does_not() -> None:
    vanishing = {"": "ab", "a": "", "ab": ""}
    found = await typed_again("ab", lambda typed: [shown(vanishing[typed], "c")])
    assert [key.is_flicker for key in found.keys] == [False, True, False]

    growing = {"": ["a", "ab"], "a": ["b", "bc"], "ab": ["c"]}
    found = await typed_again("ab", lambda typed: [shown(it, "c") for it in growing[typed]])
    assert found.num_flickers == 0


async def test_text_rewritten_within_one_answer_flickers() -> None:
    found = await typed_again(
        "x", lambda typed: [] if typed else [shown("a", "c"), shown("b", "c")]
    )
    assert [key.is_flicker for key in found.keys] == [True, False]


async def test_typing_something_else_is_no_flicker() -> None:
    texts = {"": "zz", "a": "q"}
    found = await typed_again("a", lambda typed: [shown(texts[typed], typed or "c")])
    assert (found.num_flickers, found.correct_chars) == (0, 0)
    assert not found.keys[1].is_typed_along


async def test_a_line_break_comes_with_its_indentation() -> None:
    found = await typed_again("a,\n  b", lambda typed: [])
    assert [key.typed for key in found.keys] == ["", "a", ",", "\n  ", "b"]


async def test_silence_without_asking_is_no_call() -> None:
    found = await typed_again("a", lambda typed: [shown("", "")])
    assert found.calls == ()


async def test_a_hasty_typist_leaves_at_the_first_text() -> None:
    def script(typed: str) -> list[State]:
        return [shown("a", "c"), shown("ab", "c")]

    hasty, patient = [await typed_again("x", script, pace) for pace in ("hasty", "patient")]
    assert [it.keys[1].before for it in (hasty, patient)] == ["a", "ab"]


async def test_reuse_is_that_of_all_calls_but_the_first() -> None:
    usages = {
        "": Usage(prompt_tokens=100, reused=0, completion_tokens=4),
        "a": Usage(prompt_tokens=101, reused=100, completion_tokens=5),
    }
    found = await typed_again(
        "ab", lambda typed: [shown("", typed or "c", usage=usages.get(typed))]
    )
    assert found.reuses == (100 / 101,)
    assert found.num_decoded() == 9
    assert found.calls == ("c", "a", "ab")
