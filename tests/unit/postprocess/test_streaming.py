"""The whole chain on random text that comes piece by piece, run by the generation that shows it."""

import asyncio
import itertools
from collections.abc import AsyncGenerator

from hypothesis import assume, given
from hypothesis import strategies as st

from inkling.client import Piece
from inkling.context.marks import marks_of, match, scan
from inkling.core import Extent
from inkling.generation import Generation
from inkling.postprocess import Draft, Place, apply_filters
from tests.pictures import document

PYTHON = (
    "data = load(path)",
    "check(data)",
    "if data:",
    "else:",
    "return data",
    "total = sum(",
    "    value,",
    ")",
    "# Load the data.",
    "@property",
    "def load(path):",
    "names = {'(': ')'}",
    "print(a, b)",
    "a = f(a))",
    "a = f(data",
    "return {",
    "    value: names[",
    'a = environ["A',
    '"""',
    '"""Load the data.',
    "}",
    "",
)
TYPESCRIPT = (
    "const data = load(path);",
    "if (data) {",
    "} else {",
    "}",
    "});",
    "return data;",
    "run(() => {",
    "// Load the data (all of it).",
    "`text }`,",
    "`",
    "run(",
    "const all = [data,",
    "value;",
    "",
)
CHAT = ("```python", "```", "Here is the code:", "Sure, of course.")
INDENTS = ("", "  ", "    ", "      ", "        ", "\t", "\t\t")


def lines_of(pool: tuple[str, ...], most: int) -> st.SearchStrategy[str]:
    line = st.builds("".join, st.tuples(st.sampled_from(INDENTS), st.sampled_from(pool)))
    return st.lists(line, max_size=most).map("\n".join)


def places(language: str, pool: tuple[str, ...]) -> st.SearchStrategy[Place]:
    rest = st.sampled_from(["", ")", "})", "]", "}", ", b)", "'", ");"])
    return st.builds(
        lambda above, line, rest, below, extent: Place(
            f"{above}\n{line}", f"{rest}\n{below}", extent, language
        ),
        lines_of(pool, 6),
        lines_of(pool, 1) | st.sampled_from(["    ", "f(", "open('"]),
        rest,
        lines_of(pool, 4),
        st.sampled_from(Extent),
    )


PLACES = places("python", PYTHON) | places("typescript", TYPESCRIPT)
TEXTS = lines_of(PYTHON + CHAT, 10) | lines_of(TYPESCRIPT + CHAT, 10)


def streamed(place: Place, text: str, cuts: list[int]) -> list[str]:
    """Everything a generation shows of a text that comes in pieces, the last item being final."""

    async def pieces() -> AsyncGenerator[Piece, None]:
        position = 0
        for cut in sorted(cuts):
            await asyncio.sleep(0)
            yield Piece(text[position:cut])
            position = max(position, cut)
        yield Piece(text[position:])

    async def keep(draft: Draft, _num_shown: int) -> str:
        return draft.text

    async def states() -> list[str]:
        whole = document(place.before + place.suffix, place.language)
        generation = Generation(whole, len(place.before), place, pieces, keep)
        return [generation.text async for _ in generation.states()]

    return asyncio.run(states())


CUTS = st.lists(st.integers(0, 200), max_size=40)


@given(PLACES, TEXTS, CUTS)
def test_what_is_shown_grows_into_what_the_whole_text_gives(
    place: Place, text: str, cuts: list[int]
) -> None:
    if place.extent is Extent.LINE and not place.is_last_of_statement:
        text = text.split("\n", 1)[0]  # the engine stops there
    seen = streamed(place, text, cuts)
    for shown, longer in itertools.pairwise(seen):
        assert longer.startswith(shown)
    assert seen[-1] == apply_filters(Draft(text, place, is_whole=True)).text


@st.composite
def nested(draw: st.DrawFn, pool: tuple[str, ...]) -> str:
    """Lines indented by one unit below an opener, and by no more than the line above elsewhere."""
    unit, depth, lines = draw(st.sampled_from(["\t", "  ", "    "])), 0, []
    for line in draw(st.lists(st.sampled_from(pool), max_size=10)):
        lines.append(unit * depth + line)
        depth = depth + 1 if line.endswith((":", "{")) else draw(st.integers(0, depth))
    return "\n".join(lines)


@given(PLACES, nested(PYTHON + CHAT) | nested(TYPESCRIPT + CHAT))
def test_filtering_what_was_filtered_changes_nothing(place: Place, text: str) -> None:
    once = apply_filters(Draft(text, place, is_whole=True)).text
    assert apply_filters(Draft(once, place, is_whole=True)).text == once


@given(PLACES, TEXTS)
def test_no_bracket_is_closed_that_the_document_closes(place: Place, text: str) -> None:
    assume(not place.inside)
    text = apply_filters(Draft(text, place, is_whole=True)).text
    without = _num_unmatched(place, place.before + place.suffix)
    assert _num_unmatched(place, place.before + text + place.suffix) <= without


def _num_unmatched(place: Place, text: str) -> int:
    marks = marks_of(place.language)
    assert marks is not None
    return len(match(scan(text, marks).brackets)[1])
