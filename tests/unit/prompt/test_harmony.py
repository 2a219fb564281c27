"""Where a style stands among the fixed texts."""

from pathlib import Path

import inkling
from inkling.core import Chunk
from inkling.prompt.harmony import DEMO, GPT_OSS, Wording, render_fixed
from inkling.tokenizer import Tokenizer

TOKENIZER = Tokenizer.load(Path(inkling.__file__).parent / "models" / "demo")
CHUNKS = (Chunk("lib.py", "def there(): ..."),)


def fixed(wording: Wording, **style: str) -> list[int]:
    return render_fixed(
        TOKENIZER, wording, path="a.py", chunks=CHUNKS, suffix="\n", head="x = 1\n", **style
    )


def readable(token_ids: list[int]) -> str:
    names = {token_id: name for name, token_id in TOKENIZER.special.items()}
    return "".join(names.get(id_) or TOKENIZER.decode([id_]) for id_ in token_ids)


def test_a_style_follows_the_instructions_in_the_developer_message() -> None:
    plain, styled = (
        readable(fixed(GPT_OSS)),
        readable(fixed(GPT_OSS, style="Tabs.\nNo semicolons.")),
    )
    assert styled == plain.replace(
        GPT_OSS.developer, f"{GPT_OSS.developer}\n\n# Style\n\nTabs.\nNo semicolons."
    )


def test_no_style_changes_no_token() -> None:
    for wording in (DEMO, GPT_OSS):
        assert fixed(wording, style="") == fixed(wording)
        assert "# Style" not in readable(fixed(wording))


def test_a_style_changes_no_token_before_it() -> None:
    before = TOKENIZER.encode(GPT_OSS.developer)
    start = fixed(GPT_OSS).index(before[0])
    plain, styled = fixed(GPT_OSS), fixed(GPT_OSS, style="Tabs.")
    end = next(n for n in range(start, len(plain)) if plain[n] != styled[n])
    assert readable(plain[:end]).endswith(GPT_OSS.developer)


def test_a_style_that_looks_like_a_special_token_stays_text() -> None:
    end = TOKENIZER.special["<|end|>"]
    assert fixed(DEMO, style="<|end|>").count(end) == fixed(DEMO).count(end)
