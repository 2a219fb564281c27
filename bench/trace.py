"""The keystroke trace: what an editor asks for while somebody types, as prompts of token ids.

Somebody types a function into a file of this project, key by key, and completes at every key. In
between they change lines above the cursor, look up another place and another file, and open files
that were never asked about before. Every prompt comes from the project's own prompt plan, with the
related chunks it would choose. The same sources and the same vocabulary give the same trace.

As JSON it is replayed against engines that know nothing of this package (`bench/peers`).

    python bench/trace.py --tokenizer FOLDER trace.json
"""

import argparse
import json
import statistics
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

from inkling.context.chunks import rank_chunks
from inkling.core import DocumentSnapshot
from inkling.engine.budget import CPU_CONTEXT_LEN
from inkling.preparation import CHUNKS_REACH
from inkling.prompt.harmony import Wording, wording_of
from inkling.prompt.plan import PromptPlan, make_plan
from inkling.tokenizer import Tokenizer

PACKAGE = Path(__file__).resolve().parents[1] / "server" / "inkling"
# Budgets that give prompts of about 1,500 and 8,000 tokens: a new plan leaves room for typing.
BUDGET, LONG_BUDGET = 1_850, 10_000
ROOM = 160  # tokens of a context left for a completion
TYPED_IN = "prompt/plan.py"
LOOKED_UP = "config.py"
RELATED = ("client.py", "tokenizer.py", "context/chunks.py", "prompt/harmony.py")
OPENED = ("completer.py", "doctor.py", "engine/app.py", "engine/answers.py", "engine/generate.py")
NUM_LONG = 3
KEYS = 100  # typed before the first change above the cursor
EDITS = (8, 6, 12, 10, 18, 16, 30, 90)  # lines above the cursor; every other one adds a line
JUMPS = (0.25, 0.4, 0.15)  # of the file: where the cursor goes
KEYS_BETWEEN = 2
TYPED = '''def read_settings(path, defaults):
    """Read settings from a JSON file, with defaults for what is missing."""
    with open(path, encoding="utf-8") as stream:
        settings = json.load(stream)
    for name, value in defaults.items():
        settings.setdefault(name, value)
    return settings
'''


@dataclass(frozen=True)
class Step:
    """One request. `kind` is "key", "edit above", "jump", "cold" or "cold long", `what` says more.

    An engine that heals tokens may choose the last `healing` of them again.
    """

    kind: str
    what: str
    token_ids: list[int]
    healing: int


@dataclass
class _Editor:
    """Open files and the prompt plan of each, as a language server keeps them."""

    tokenizer: Tokenizer
    wording: Wording
    budget: int
    steps: list[Step] = field(default_factory=list)
    plans: dict[str, PromptPlan] = field(default_factory=dict)

    def ask(self, kind: str, what: str, path: str, text: str, offset: int) -> None:
        """A completion of `text` at `offset`, as `Completer` asks for it."""
        document = _snapshot(path, text)
        plan = self.plans.get(path)
        if plan is None or not plan.holds(self.tokenizer, document, offset):
            chunks = None
            if plan is None or abs(plan.chunks_offset - offset) > CHUNKS_REACH:
                related = [_snapshot(name, _source(name)) for name in RELATED]
                chunks = rank_chunks(text, offset, related)
            plan = self.plans[path] = make_plan(
                self.tokenizer, self.wording, document, offset, chunks, self.budget, plan
            )
        prompt = plan.prompt(self.tokenizer, document, offset)
        self.steps.append(Step(kind, what, prompt.token_ids, prompt.healing))


def make_trace(tokenizer: Tokenizer, wording: Wording, context_len: int) -> list[Step]:
    """The trace in a vocabulary. Prompts that a context of `context_len` tokens cannot hold are made
    shorter; the long ones are left out."""
    editor = _Editor(tokenizer, wording, min(BUDGET, context_len - ROOM))
    _typing(editor)
    for name in OPENED:
        text = _source(name)
        editor.ask("cold", name, name, text, _line_end(text, 0.7))
    if context_len >= LONG_BUDGET + ROOM:
        editor.budget = LONG_BUDGET
        files = sorted(PACKAGE.rglob("*.py"))
        everything = "\n\n".join(file.read_text(encoding="utf-8") for file in files)
        length = len(everything) // NUM_LONG
        for number in range(NUM_LONG):
            text = everything[number * length : (number + 1) * length]
            name, offset = f"long_{number}.py", _line_end(text, 0.75)
            editor.ask("cold long", name, name, text, offset)
    return editor.steps


def _typing(editor: _Editor) -> None:
    """Keys, with changes above the cursor and looks elsewhere in between."""
    source = _source(TYPED_IN)
    start = source.index("\n\n\ndef ", len(source) // 2) + 3
    before, behind = source[:start], "\n\n" + source[start:]
    keys = _keys(TYPED)
    typed = ""

    def ask(kind: str, what: str) -> None:
        text = before + typed
        editor.ask(kind, what, TYPED_IN, text + behind, len(text))

    def type_keys(count: int) -> None:
        nonlocal typed
        for _ in range(count):
            typed += keys.pop(0)
            ask("key", repr(typed[-1]))

    ask("cold", TYPED_IN)
    type_keys(KEYS)
    for number, lines in enumerate(EDITS):
        before = _edited(before, lines, adds_line=number % 2 == 1)
        ask("edit above", f"{lines} lines up")
        type_keys(KEYS_BETWEEN)
    other = _source(LOOKED_UP)
    for place in JUMPS:
        text = before + typed + behind
        editor.ask("jump", "same file", TYPED_IN, text, _line_end(text, place))
        ask("jump", "back")
        type_keys(KEYS_BETWEEN)
        editor.ask("jump", "other file", LOOKED_UP, other, _line_end(other, 0.5 + place))
        ask("jump", "back")
        type_keys(KEYS_BETWEEN)


def _keys(text: str) -> list[str]:
    """What each key adds: an editor puts a new line's indent there by itself."""
    keys: list[str] = []
    for char in text:
        if char == " " and keys and keys[-1].startswith("\n") and not keys[-1].strip():
            keys[-1] += char
        else:
            keys.append(char)
    return keys


def _edited(before: str, lines: int, *, adds_line: bool) -> str:
    """A change that many lines above the end of `before`: a line's end, or a line more."""
    split = before.split("\n")
    index = max(0, len(split) - 1 - lines)
    if adds_line:
        split.insert(index, f"# {lines} lines above the cursor")
    else:
        split[index] += f"  # {lines} lines up"
    return "\n".join(split)


def _line_end(text: str, part: float) -> int:
    return text.index("\n", int(part * len(text)))


def _snapshot(path: str, text: str) -> DocumentSnapshot:
    return DocumentSnapshot(f"file:///{path}", path, "python", text, version=0)


def _source(name: str) -> str:
    return (PACKAGE / name).read_text(encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument(
        "--tokenizer", type=Path, help="folder of a tokenizer.json; unset: the demo's"
    )
    parser.add_argument("out", type=Path, help="JSON file to write")
    given = parser.parse_args()
    demo = PACKAGE / "models" / "demo"
    kind, context_len = "exl2", 1 << 17
    if given.tokenizer is None:
        kind = "demo"
        context_len = CPU_CONTEXT_LEN
    tokenizer = Tokenizer.load(given.tokenizer or demo)
    steps = make_trace(tokenizer, wording_of(kind), context_len)
    given.out.write_text(json.dumps([asdict(step) for step in steps]), encoding="utf-8")
    for name, count in Counter(step.kind for step in steps).items():
        lengths = [len(step.token_ids) for step in steps if step.kind == name]
        print(f"{name:<12} {count:>4} prompts of {statistics.median(lengths):,.0f} tokens")


if __name__ == "__main__":
    main()
