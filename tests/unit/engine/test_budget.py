"""Tokens and pages that the settings ask for."""

import pytest

from inkling.config import EngineSettings
from inkling.engine.budget import PAGE_LEN, context_len, num_pages

LONGEST = 131_072


@pytest.mark.parametrize(
    ("asked", "longest", "is_demo_on_cpu", "tokens"),
    [
        (None, LONGEST, False, 16_384),
        (None, 4096, False, 4096),
        (None, 4096, True, 1280),
        (None, 512, True, 512),
        (64, LONGEST, False, 64),
        (50_000, LONGEST, False, 50_000),
        (50_000, 4096, False, 4096),
        (4096, 4096, True, 4096),
    ],
)
def test_the_longest_request(
    asked: int | None, longest: int, is_demo_on_cpu: bool, tokens: int
) -> None:
    settings = EngineSettings(context_len=asked, kv_tokens=16_384)
    assert context_len(settings, longest, is_demo_on_cpu=is_demo_on_cpu) == tokens


@pytest.mark.parametrize("asked", [None, 64, 50_001])
def test_one_request_fits_with_a_page_to_spare(asked: int | None) -> None:
    settings = EngineSettings(context_len=asked, kv_tokens=2048)
    of_cache = (num_pages(settings, LONGEST) - 1) * PAGE_LEN
    assert of_cache >= max(2048, context_len(settings, LONGEST))
