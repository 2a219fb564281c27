"""`├…┤` is what the model wrote, at the cursor; `expect` is what may be shown of it."""

from collections.abc import Callable

from inkling.core import Extent
from inkling.postprocess import Draft, Place


def draft_of(picture: str, extent: Extent, *, is_whole: bool = True, language: str = "") -> Draft:
    before, rest = picture.split("├")
    text, suffix = rest.split("┤")
    return Draft(text, Place(before, suffix, extent, language), is_whole)


def check(
    filter_: Callable[[Draft], Draft],
    picture: str,
    expect: str,
    *,
    extent: Extent = Extent.BLOCK,
    is_done: bool | None = None,
    is_whole: bool = True,
    language: str = "",
) -> None:
    result = filter_(draft_of(picture, extent, is_whole=is_whole, language=language))
    assert result.text == expect
    if is_done is not None:
        assert result.is_done is is_done
