"""The prompt is laid out so that typing only appends."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import inkling
from inkling.core import Chunk, DocumentSnapshot
from inkling.prompt.harmony import DEMO, GPT_OSS, wording_of
from inkling.prompt.plan import PromptPlan, make_plan, similar
from inkling.prompt.redaction import REDACTED
from inkling.tokenizer import Tokenizer
from tests.pictures import at_cursor, document

TOKENIZER = Tokenizer.load(Path(inkling.__file__).parent / "models" / "demo")
LONG = "".join(f"def function_{n}(value):\n    return value + {n}\n\n\n" for n in range(80))


def plan_at(
    text: str, offset: int, budget: int = 600, previous: PromptPlan | None = None
) -> tuple[PromptPlan, DocumentSnapshot]:
    snapshot = document(text)
    return make_plan(TOKENIZER, DEMO, snapshot, offset, (), budget, previous), snapshot


def readable(token_ids: list[int] | tuple[int, ...]) -> str:
    names = {token_id: name for name, token_id in TOKENIZER.special.items()}
    return "".join(names.get(id_) or TOKENIZER.decode([id_]) for id_ in token_ids)


def test_the_layout_of_a_prompt() -> None:
    text, offset = at_cursor("import os\n\ndef here():\n    return os.‸\n\nx = 1\n")
    snapshot = document(text)
    chunks = (Chunk("lib.py", "def there(): ..."),)
    plan = make_plan(TOKENIZER, DEMO, snapshot, offset, chunks, 600)
    assert readable(plan.prompt(TOKENIZER, snapshot, offset).token_ids) == (
        "<|start|>system<|message|>Inkling demo.<|end|>"
        "<|start|>developer<|message|>Complete the code.<|end|>"
        "<|start|>user<|message|>src/app.py\n"
        "<related lib.py>\ndef there(): ...\n</related>\n"
        "<after>\n\n\nx = 1\n\n</after>\n<before>\n<|end|>"
        "<|start|>assistant<|channel|>final<|message|>"
        "import os\n\ndef here():\n    return os."
    )


def test_the_model_sees_one_kind_of_line_end() -> None:
    text, offset = at_cursor("import os\n\ndef here():\n    return os.‸\n\nx = 1\n")
    plan, snapshot = plan_at(text, offset)
    expected = plan.prompt(TOKENIZER, snapshot, offset)
    text, offset = text.replace("\n", "\r\n"), offset + text[:offset].count("\n")
    plan, snapshot = plan_at(text, offset)
    assert plan.prompt(TOKENIZER, snapshot, offset) == expected
    assert plan.holds(TOKENIZER, snapshot, offset)


def test_typing_appends_tokens_and_changes_none_before_the_healed_end() -> None:
    text, offset = at_cursor(LONG + "def last(value):\n    ‸\n\nprint(last(1))\n")
    plan, snapshot = plan_at(text, offset)
    before = plan.prompt(TOKENIZER, snapshot, offset)
    for typed in ("r", "re", "return", "return value", "return value * (2 + "):
        now = document(text[:offset] + typed + text[offset:])
        assert plan.holds(TOKENIZER, now, offset + len(typed))
        after = plan.prompt(TOKENIZER, now, offset + len(typed))
        kept = len(before.token_ids) - before.healing
        assert after.token_ids[:kept] == before.token_ids[:kept]
        before = after


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(LONG)), st.integers(160, 900))
def test_a_prompt_keeps_its_budget_and_its_parts_are_the_documents(
    offset: int, budget: int
) -> None:
    plan, snapshot = plan_at(LONG, offset, budget)
    prompt = plan.prompt(TOKENIZER, snapshot, offset)
    assert len(prompt.token_ids) <= budget
    assert prompt.healing <= len(TOKENIZER.encode(LONG[plan.anchor : offset]))
    assert LONG[: plan.anchor].endswith(plan.head)
    assert LONG[offset:].startswith(plan.suffix)
    assert plan.holds(TOKENIZER, snapshot, offset)
    window = plan.anchor - len(plan.head)
    assert window == 0 or LONG[window - 1] == "\n"


def test_the_window_stays_while_lines_are_added() -> None:
    text, offset = at_cursor(LONG[:6000] + "‸")
    plan, _ = plan_at(text, offset)
    longer = text + "x = 1\n" * 6
    again, _ = plan_at(longer, len(longer), previous=plan)
    assert again.anchor - len(again.head) == plan.anchor - len(plan.head)
    assert again.head.startswith(plan.head)


def test_a_plan_breaks_at_an_edit_above_the_anchor_and_at_a_jump() -> None:
    text, offset = at_cursor(LONG[:4000] + "\nvalue = ‸\n" + LONG[4000:])
    plan, snapshot = plan_at(text, offset)
    assert not plan.holds(TOKENIZER, document("#" + text), offset + 1)
    assert not plan.holds(TOKENIZER, snapshot, 10)
    assert not plan.holds(TOKENIZER, snapshot, len(text))


def test_a_line_of_a_megabyte_costs_no_more_than_its_share() -> None:
    text = "data = [" + "1, " * 300_000
    plan, snapshot = plan_at(text, len(text))
    assert len(plan.prompt(TOKENIZER, snapshot, len(text)).token_ids) <= 600
    in_the_middle, _ = plan_at(text, 30_000)
    assert len(in_the_middle.fixed_ids) <= 600


@pytest.mark.parametrize(
    ("frozen", "now", "expected"),
    [
        (")\n" + LONG[:500], ")\n" + LONG[:500], True),
        (")\n" + LONG[:500], ")\n" + LONG[:200] + "x = 1\n" + LONG[200:500], True),
        (")\n" + LONG[:500], "\n" + LONG[:500], False),
        (")\n" + LONG[:500], ")\n" + LONG[300:500], False),
        ("", "", True),
    ],
)
def test_a_frozen_suffix_stands_for_one_that_changed_little(
    frozen: str, now: str, expected: bool
) -> None:
    assert similar(frozen, now) is expected


def test_code_that_looks_like_a_special_token_stays_text() -> None:
    text = "stop = '<|end|>'\nprint("
    plan, snapshot = plan_at(text, len(text))
    end = TOKENIZER.special["<|end|>"]
    prompt = plan.prompt(TOKENIZER, snapshot, len(text)).token_ids
    assert prompt.count(end) == 3  # of system, developer and user


def test_each_kind_of_model_has_its_wording() -> None:
    assert wording_of("demo") is DEMO
    assert wording_of("exl2") is GPT_OSS


def test_a_plan_made_at_the_end_of_a_file_does_not_hide_what_is_written_below_later() -> None:
    text, offset = at_cursor("import os\n\n‸")
    plan, _ = plan_at(text, offset)
    text, offset = at_cursor("import os\n\ndef total(xs):\n    ‸\n\nprint(total([1]))\n")
    assert not plan.holds(TOKENIZER, document(text), offset)
    again, _ = plan_at(text, offset, previous=plan)
    assert again.suffix == "\n\nprint(total([1]))\n"


@pytest.mark.parametrize("line", ["中文" * 190, "🎉" * 400, "x" * 5000])
def test_a_long_line_below_the_cursor_keeps_to_its_share(line: str) -> None:
    text, offset = at_cursor(f"x = 1\n‸{line}\n")
    plan, snapshot = plan_at(text, offset)
    assert len(plan.prompt(TOKENIZER, snapshot, offset).token_ids) <= 600


def test_no_secret_gets_into_a_prompt_wherever_it_stands() -> None:
    secret = "ghp_" + "a1B2" * 9
    lines = [f'{name} = "{secret}"\n' for name in ("head", "tail", "after")]
    text = lines[0] + "x = 1\n" * 20 + lines[1] + "y = " + "\n" + lines[2]
    offset = text.index("y = ") + 4
    chunk = Chunk("b.py", f'chunk = "{secret}"\n')
    source = DocumentSnapshot("file:///a.py", "a.py", "python", text, 1)
    plan = make_plan(TOKENIZER, GPT_OSS, source, offset, (chunk,), 4000, style=f"- token {secret}")
    shown = TOKENIZER.shown(plan.prompt(TOKENIZER, source, offset).token_ids)
    assert secret not in shown
    assert shown.count(REDACTED) == 5
    assert plan.holds(TOKENIZER, source, offset)
