"""The last step, on the finished text: it does not end in the middle of a statement.

Not one of the filters: it needs the document's syntax tree, which one thread owns, and a document
is parsed for each try.
"""

from tree_sitter import Node

from inkling.context.syntax import SyntaxTree, parse
from inkling.postprocess.draft import Draft
from inkling.postprocess.open_statement import may_be_closed_below, num_closed_lines

MAX_TRIES = 4
# A document with more faults than this (nodes) tells nothing about the completion.
MAX_FAULTS = 200


def trim_to_valid_syntax(draft: Draft, tree: SyntaxTree, num_shown: int) -> str:
    """The draft's text without the last lines that break the document, if it breaks it.

    `tree` is the document's without the completion. Tried are the ends of the last lines, and that of
    what stands before a statement left open, however long: that may leave nothing, and is the longest
    that is tried where nothing below closes it. Of those that keep the `num_shown` characters on screen
    the longest with the fewest faults is kept. A first line without open brackets stays: while a line is
    typed it is seldom valid.
    """
    text, place = draft.text, draft.place
    lines = text.split("\n")
    first = next((index for index, line in enumerate(lines) if line.strip()), 0)
    allowed = num_faults(tree.tree.root_node)
    best, fewest = text, MAX_FAULTS
    num_closed = num_closed_lines(text, place)
    longest = len(lines) if may_be_closed_below(text, place) else num_closed
    ends = {*range(len(lines), max(first, len(lines) - MAX_TRIES), -1), num_closed}
    for num_lines in sorted((end for end in ends if end <= longest), reverse=True):
        part = "\n".join(lines[:num_lines]).rstrip() if num_lines < len(lines) else text
        if len(part) < num_shown:
            break
        cursor = len(place.before) if tree.window else None
        joined = parse(place.language, place.before + part + place.suffix, tree, cursor)
        faults = num_faults(joined.tree.root_node) if joined else 0
        if faults < fewest:
            best, fewest = part, faults
        if faults <= allowed:
            break
    return best


def num_faults(node: Node) -> int:
    """How many nodes under this one are errors or missing, counted up to MAX_FAULTS."""
    count, waiting = 0, [node]
    while waiting and count < MAX_FAULTS:
        node = waiting.pop()
        if node.has_error:
            count += node.is_error or node.is_missing
            waiting += node.children
    return count
