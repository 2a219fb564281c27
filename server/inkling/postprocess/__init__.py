"""Filters between the model and the screen: one small pure function per file, in this order.

Each takes a `Draft` and returns it, shorter or with `is_done` set: decoding stops the moment a
filter is satisfied. They run on the growing text, so a filter only judges what is finished.
"""

from collections.abc import Callable

from inkling.postprocess.block_end import stop_at_block_end
from inkling.postprocess.draft import Draft
from inkling.postprocess.repetition import stop_at_repetition
from inkling.postprocess.single_line import stop_at_line_end
from inkling.postprocess.suffix_lines import stop_at_suffix_line
from inkling.postprocess.suffix_overlap import trim_suffix_overlap
from inkling.postprocess.trailing_space import trim_trailing_space

FILTERS: tuple[Callable[[Draft], Draft], ...] = (
    stop_at_line_end,
    stop_at_block_end,
    stop_at_repetition,
    stop_at_suffix_line,
    trim_suffix_overlap,
    trim_trailing_space,
)


def apply_filters(draft: Draft) -> Draft:
    """Run every filter in order."""
    for filter_ in FILTERS:
        draft = filter_(draft)
    return draft


__all__ = ["FILTERS", "Draft", "apply_filters"]
