"""Filters between the model and the screen: one small pure function per file, in this order.

Each takes a `Draft` and returns it: rewritten to what belongs in the document, or shorter, or with
`is_done` set: decoding stops the moment a filter is satisfied. They run on the growing text, so a
filter only judges what is finished, and what it returns for a longer text begins with what it
returned for a shorter one. Those that judge by what comes later stand behind those that do not.
"""

from collections.abc import Callable

from inkling.postprocess.bare_opener import trim_bare_opener
from inkling.postprocess.blanks import stop_at_blanks
from inkling.postprocess.block_end import stop_at_block_end
from inkling.postprocess.brackets import stop_at_excess_closer
from inkling.postprocess.chat import drop_chat
from inkling.postprocess.draft import Draft
from inkling.postprocess.echo import drop_echo
from inkling.postprocess.indentation import use_file_indentation
from inkling.postprocess.place import Place
from inkling.postprocess.prompt_tags import stop_at_prompt_tag
from inkling.postprocess.quotes import stop_at_excess_quote
from inkling.postprocess.repetition import stop_at_repetition
from inkling.postprocess.single_line import stop_at_line_end
from inkling.postprocess.suffix_lines import stop_at_suffix_line
from inkling.postprocess.suffix_overlap import trim_suffix_overlap
from inkling.postprocess.trailing_space import trim_trailing_space
from inkling.postprocess.unclosed import stop_at_unclosed

# From what the model wrote to what belongs in the document. Blanks come first (and once more below):
# the others wait for what comes behind them, which may be for ever.
REWRITES: tuple[Callable[[Draft], Draft], ...] = (
    stop_at_blanks,
    drop_chat,
    drop_echo,
    use_file_indentation,
)
# Where that ends. These only ever shorten.
CUTS: tuple[Callable[[Draft], Draft], ...] = (
    stop_at_line_end,
    stop_at_blanks,
    stop_at_prompt_tag,
    stop_at_block_end,
    stop_at_excess_closer,
    stop_at_repetition,
    stop_at_suffix_line,
    stop_at_excess_quote,
    trim_suffix_overlap,
    stop_at_unclosed,
    trim_bare_opener,
    trim_trailing_space,
)


def rewrite(draft: Draft) -> Draft:
    """The draft as it belongs in the document, ends aside."""
    for filter_ in REWRITES:
        draft = filter_(draft)
    return draft


def cut(draft: Draft) -> Draft:
    """Shorten a rewritten draft to what is good of it. What one filter takes from the end of a
    settled one may be another's business, so they go on until all agree."""
    while True:
        shorter = draft
        for filter_ in CUTS:
            shorter = filter_(shorter)
        if not shorter.is_settled or shorter.text == draft.text:
            return shorter
        draft = shorter


def apply_filters(draft: Draft) -> Draft:
    """Run every filter in order."""
    return cut(rewrite(draft))


__all__ = ["Draft", "Place", "apply_filters", "cut", "rewrite"]
