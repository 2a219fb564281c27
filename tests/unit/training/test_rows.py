"""Training rows are the server's prompts: what they hold, put together again, is the file."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from inkling.client import EngineModel
from inkling.config import Settings
from inkling.context.syntax import parse
from inkling.core import CompletionRequest, DocumentSnapshot
from inkling.preparation import EditEpisode, Target, prepare
from inkling.tokenizer import Tokenizer
from training.config import RowShape
from training.documents import Document
from training.middles import Hole, draw_hole, line_starts
from training.projects import Projects
from training.rows import CLASS_SHIFT, MIDDLE, TOKEN_MASK, RowBuilder

MODELS = Path(__file__).parents[3] / "server/inkling/models/demo"

PYTHON = '''"""Orders."""

from shop.prices import price_of


class Order:
    """What somebody wants."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.items: list[str] = []

    def add(self, item: str, count: int = 1) -> None:
        if count < 1:
            raise ValueError(f"cannot add {count} of {item}")
        for _ in range(count):
            self.items.append(item)

    def total(self) -> float:
        return sum(price_of(item) for item in self.items)


def empty(order: Order) -> bool:
    return not order.items
'''
OTHER = '''"""Prices — in €."""

PRICES = {"tea": 2.5, "cake": 3.0}


def price_of(item: str) -> float:
    """What one item costs."""
    if item not in PRICES:
        raise KeyError(f"no price of {item}")
    return PRICES[item]
'''
TYPESCRIPT = """export interface Point { x: number; y: number }

export function distance(a: Point, b: Point): number {
  const dx = a.x - b.x;
  const dy = a.y - b.y;
  return Math.sqrt(dx * dx + dy * dy);
}

export class Path {
  private points: Point[] = [];

  add(point: Point): void {
    this.points.push(point);
  }

  length(): number {
    let sum = 0;
    for (let i = 1; i < this.points.length; i++) {
      sum += distance(this.points[i - 1], this.points[i]);
    }
    return sum;
  }
}
"""
DOCUMENTS = [
    Document("pypi:shop", "shop/orders.py", "python", PYTHON),
    Document("pypi:shop", "shop/prices.py", "python", OTHER),
    Document("npm:geo", "src/path.ts", "typescript", TYPESCRIPT),
]
SHAPE = RowShape(row_len=700, prompt_budget=600)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.load(MODELS)


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Projects]:
    folder = tmp_path_factory.mktemp("projects")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        laid_out = Projects(folder / "packages")
        laid_out.lay_out(DOCUMENTS)
        yield laid_out


@pytest.fixture(scope="module")
def builder(tokenizer: Tokenizer, projects: Projects) -> RowBuilder:
    return RowBuilder(tokenizer, DOCUMENTS, projects, SHAPE)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: str(document.path))
def test_tail_and_middle_are_the_file_and_end_where_the_hole_ends(
    builder: RowBuilder, tokenizer: Tokenizer, document: Document
) -> None:
    rng = random.Random(1)
    tree = parse(document.language, document.text)
    starts = line_starts(document.text)
    made = 0
    for _ in range(200):
        hole = draw_hole(rng, SHAPE, document, tree, starts)
        if hole is None:
            continue
        example = builder.example(rng, document, hole, builder.sitting(rng))
        if example is None:
            continue
        made += 1
        *written, last = example.ids
        assert last == tokenizer.special["<|return|>"]
        start = len(written) - written[::-1].index(tokenizer.special["<|message|>"])
        tail_and_middle = tokenizer.decode(written[start:])
        assert document.text.endswith(tail_and_middle, 0, hole.end)
        middle = [
            token
            for token, kind in zip(example.ids, example.classes, strict=True)
            if kind == MIDDLE
        ]
        # The first token of the middle may begin left of the cursor: the engine heals it.
        assert tokenizer.decode(middle).endswith(document.text[hole.cursor : hole.end])
        assert tokenizer.encode(tail_and_middle) == written[start:]
    assert made > 100


def test_the_prompt_is_the_one_the_server_would_send(
    tokenizer: Tokenizer, projects: Projects
) -> None:
    certain = RowShape(full_budget_share=1, chunks_share=1, no_suffix_share=0, earlier_plan_share=0)
    document = DOCUMENTS[0]
    cursor = document.text.index("price_of(item) for")
    hole = Hole(cursor, document.text.index("\n", cursor))
    builder = RowBuilder(tokenizer, DOCUMENTS, projects, certain)
    rng = random.Random(1)
    example = builder.example(rng, document, hole, builder.sitting(rng))
    workspace = projects.workspace(document.package)
    uri = (workspace.root / document.path).as_uri()
    text = document.text[:cursor] + document.text[hole.end :]
    file = DocumentSnapshot(uri, document.path, "python", text, 0)
    context_len = certain.prompt_budget + Settings().block_tokens
    target = Target(EngineModel("demo", MODELS, context_len, "demo", "cpu", "", 0), tokenizer)
    prompt = prepare(
        CompletionRequest(file, cursor), EditEpisode(), target, Settings(), workspace
    ).prompt
    assert example is not None
    kept = prompt.token_ids[: len(prompt.token_ids) - prompt.healing]
    assert example.ids[: len(kept)] == kept
    # The definition of what the cursor stands before comes from the index.
    assert "def price_of(item: str) -> float:" in tokenizer.decode(kept)


def test_rows_are_full_and_the_same_for_the_same_seed(
    builder: RowBuilder, tokenizer: Tokenizer
) -> None:
    rows = builder.rows(seed=7, count=12)
    assert rows.shape == (12, SHAPE.row_len + 1)
    assert (rows == builder.rows(seed=7, count=12)).all()
    assert (rows != builder.rows(seed=8, count=12)).any()
    assert int((rows & TOKEN_MASK).max()) < tokenizer.vocab_size
    assert ((rows >> CLASS_SHIFT) == MIDDLE).any()
