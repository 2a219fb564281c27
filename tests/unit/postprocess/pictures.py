"""`├…┤` is what the model wrote, at the cursor; `expect` is what may be shown of it."""

from collections.abc import Callable

from inkling.core import Extent
from inkling.postprocess import Draft


def draft_of(picture: str, extent: Extent, *, is_whole: bool = True) -> Draft:
    before, rest = picture.split("├")
    text, suffix = rest.split("┤")
    return Draft(text, before[before.rfind("\n") + 1 :], suffix, extent, is_whole)


def check(
    filter_: Callable[[Draft], Draft],
    picture: str,
    expect: str,
    *,
    extent: Extent = Extent.BLOCK,
    is_done: bool | None = None,
    is_whole: bool = True,
) -> None:
    result = filter_(draft_of(picture, extent, is_whole=is_whole))
    assert result.text == expect
    if is_done is not None:
        assert result.is_done is is_done
