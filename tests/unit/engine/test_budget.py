"""Tokens and pages that the settings ask for."""

import pytest

from inkling.config import EngineSettings
from inkling.engine.budget import PAGE_LEN, context_len, num_pages

LONGEST = 131_072


@pytest.mark.parametrize(
    ("asked", "kv_tokens", "longest", "tokens"),
    [
        (None, 16_384, LONGEST, 16_384),
        (None, 16_384, 1280, 1280),
        (64, 16_384, LONGEST, 64),
        (50_000, 16_384, LONGEST, 50_000),
        (50_000, 16_384, 1280, 1280),
    ],
)
def test_the_longest_request(asked: int | None, kv_tokens: int, longest: int, tokens: int) -> None:
    settings = EngineSettings(context_len=asked, kv_tokens=kv_tokens)
    assert context_len(settings, longest) == tokens


@pytest.mark.parametrize("asked", [None, 64, 50_001])
def test_one_request_fits_with_a_page_to_spare(asked: int | None) -> None:
    settings = EngineSettings(context_len=asked, kv_tokens=2048)
    of_cache = (num_pages(settings, LONGEST) - 1) * PAGE_LEN
    assert of_cache >= max(2048, context_len(settings, LONGEST))
