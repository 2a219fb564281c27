import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer as Witness

import inkling
from inkling.errors import CheckpointError
from inkling.tokenizer import Tokenizer

FOLDER = Path(inkling.__file__).parent / "models" / "demo"
TOKENIZER = Tokenizer.load(FOLDER)
WITNESS = Witness.from_file(str(FOLDER / "tokenizer.json"))
WITNESS.encode_special_tokens = True


@given(st.text(max_size=80) | st.text(alphabet="abc _.()\n\t'é🎉=1", max_size=80))
def test_ids_are_those_of_the_reference_implementation(text: str) -> None:
    assert TOKENIZER.encode(text) == WITNESS.encode(text, add_special_tokens=False).ids
    assert TOKENIZER.decode(TOKENIZER.encode(text)) == text


@given(st.text(alphabet="ab _.()\n 'é🎉=1", max_size=40), st.text(alphabet="ab (.\n 1", max_size=9))
def test_healing_covers_every_token_that_more_text_can_change(text: str, more: str) -> None:
    ids = TOKENIZER.encode(text)
    kept = len(ids) - TOKENIZER.healing_len(text)
    assert TOKENIZER.encode(text + more)[:kept] == ids[:kept]


def test_special_ids_have_no_text_and_stop_ids_are_found() -> None:
    end = TOKENIZER.special["<|end|>"]
    assert TOKENIZER.token_bytes(end) == b""
    assert end in TOKENIZER.stop_ids
    assert TOKENIZER.special["<|return|>"] in TOKENIZER.stop_ids
    assert TOKENIZER.special["<|message|>"] not in TOKENIZER.stop_ids
    assert end not in TOKENIZER.encode("<|end|>")


def test_a_missing_or_foreign_vocabulary_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is missing: copy the tokenizer"):
        Tokenizer.load(tmp_path)
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": {"type": "Unigram"}}))
    with pytest.raises(CheckpointError, match="not a byte-level BPE"):
        Tokenizer.load(tmp_path)
    (tmp_path / "tokenizer.json").write_bytes(b"\xff{")
    with pytest.raises(CheckpointError, match="not a byte-level BPE"):
        Tokenizer.load(tmp_path)
