"""Tokens and pages that the settings ask for."""

import pytest

from inkling.config import EngineSettings
from inkling.engine.budget import PAGE_LEN, context_len, num_pages

LONGEST = 131_072


@pytest.mark.parametrize(
    ("asked", "kv_tokens", "longest", "device", "tokens"),
    [
        (None, 16_384, LONGEST, "cuda", 16_384),
        (None, 16_384, 4096, "cuda", 4096),
        (None, 16_384, 4096, "cpu", 1280),
        (None, 16_384, 512, "cpu", 512),
        (64, 16_384, LONGEST, "cuda", 64),
        (50_000, 16_384, LONGEST, "cuda", 50_000),
        (50_000, 16_384, 4096, "cuda", 4096),
        (4096, 16_384, 4096, "cpu", 4096),
    ],
)
def test_the_longest_request(
    asked: int | None, kv_tokens: int, longest: int, device: str, tokens: int
) -> None:
    settings = EngineSettings(context_len=asked, kv_tokens=kv_tokens)
    assert context_len(settings, longest, device) == tokens


@pytest.mark.parametrize("asked", [None, 64, 50_001])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_one_request_fits_with_a_page_to_spare(asked: int | None, device: str) -> None:
    settings = EngineSettings(context_len=asked, kv_tokens=2048)
    of_cache = (num_pages(settings, LONGEST, device) - 1) * PAGE_LEN
    assert of_cache >= max(2048, context_len(settings, LONGEST, device))
