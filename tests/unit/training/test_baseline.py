"""The baseline is a fair opponent: it copies from the file, knows the corpus, and heals tokens."""

from pathlib import Path

import pytest

from inkling.engine.vocabulary import Vocabulary
from inkling.tokenizer import Tokenizer
from training.baseline import Ngrams, complete, training_tokens
from training.documents import Document

MODELS = Path(__file__).parents[3] / "server/inkling/models/demo"
CORPUS = [
    Document("pypi:a", "a.py", "python", "def read(path):\n    return open(path).read()\n" * 3),
    Document(
        "pypi:b", "b.py", "python", "import json\nimport os\n\nvalue = json.loads(text)\n" * 3
    ),
]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.load(MODELS)


def completed(tokenizer: Tokenizer, before: str, after: str = "") -> str:
    end = tokenizer.special["<|endoftext|>"]
    ngrams = Ngrams(training_tokens(CORPUS, tokenizer, end))
    vocabulary = Vocabulary(tokenizer)
    text, _ = complete(ngrams, vocabulary, tokenizer, before, after, 30, lambda t: "\n" in t)
    return text.split("\n")[0]


def test_it_knows_the_training_files(tokenizer: Tokenizer) -> None:
    assert completed(tokenizer, "def read(path):\n    return open(") == "path).read()"


def test_it_goes_on_within_a_token(tokenizer: Tokenizer) -> None:
    assert completed(tokenizer, "def read(path):\n    ret") == "urn open(path).read()"


def test_the_file_itself_comes_first(tokenizer: Tokenizer) -> None:
    before = "import json\n\nvalue = json.loads(line, strict=False)\nprint(value)\nvalue = json.lo"
    assert completed(tokenizer, before) == "ads(line, strict=False)"
