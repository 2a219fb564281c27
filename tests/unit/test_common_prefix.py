"""How far two texts agree."""

import os

from hypothesis import given
from hypothesis import strategies as st

from inkling.common_prefix import common_prefix_len, common_suffix_len

TEXTS = st.text(alphabet="ab\n", max_size=60)


@given(TEXTS, TEXTS, TEXTS)
def test_texts_agree_as_far_as_their_characters_do(start: str, middle: str, end: str) -> None:
    a, b = start + end, start + middle + end
    assert a[: common_prefix_len(a, b)] == os.path.commonprefix([a, b])
    backwards = os.path.commonprefix([a[::-1], b[::-1]])
    assert common_suffix_len(a, b) == len(backwards)
    assert common_suffix_len(a.encode(), b.encode()) == len(backwards)
