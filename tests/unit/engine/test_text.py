import itertools

from hypothesis import given
from hypothesis import strategies as st

from inkling.engine.text import TextStream
from tests.unit.engine.toy import TOKENIZER, VOCABULARY


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in itertools.pairwise(places)]


@given(st.text(alphabet="ab\né🎉", max_size=30), st.lists(st.integers(0, 99), max_size=20))
def test_any_cut_of_the_bytes_gives_the_same_text(text: str, cuts: list[int]) -> None:
    stream = TextStream(())
    parts = [stream.feed(data) for data in pieces(text.encode(), cuts)]
    assert "".join([*parts, stream.flush()]) == text


@given(
    st.text(alphabet="ab\né", max_size=30),
    st.lists(st.text(alphabet="ab\né", min_size=1, max_size=3), max_size=3),
    st.lists(st.integers(0, 99), max_size=20),
)
def test_nothing_from_a_stop_string_on_is_sent(text: str, stop: list[str], cuts: list[int]) -> None:
    stream = TextStream(tuple(stop))
    sent = ""
    for data in pieces(text.encode(), cuts):
        sent += stream.feed(data)
        assert text.startswith(sent), "what is sent is never taken back"
        if stream.is_stopped:
            break
    sent += stream.flush()
    assert not any(word in sent for word in stop)
    ends = [text.find(word) for word in stop if word in text]
    if not ends:
        assert sent == text
    else:
        assert text.startswith(sent)
        assert stream.is_stopped


@given(st.binary(min_size=1, max_size=5) | st.text(alphabet="abcé ", min_size=1).map(str.encode))
def test_allowed_tokens_are_those_that_agree_with_the_required_bytes(required: bytes) -> None:
    slow = {
        token_id
        for token_id in range(TOKENIZER.vocab_size)
        if (data := TOKENIZER.token_bytes(token_id))
        and (data.startswith(required) or required.startswith(data))
    }
    allowed = VOCABULARY.allowed(required).tolist()
    assert set(allowed) == slow
    assert len(allowed) == len(slow)
