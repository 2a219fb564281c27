"""Incremental parsing, and what the syntax at the cursor asks for: a line or a block."""

import re
from dataclasses import dataclass, replace
from functools import cache

from tree_sitter import Node, Parser, Point, Tree

from inkling.common_prefix import common_prefix_len, common_suffix_len
from inkling.context.languages import LANGUAGES, LanguageSyntax, load_grammar
from inkling.context.scope import indent_of
from inkling.context.window import Window, window_at
from inkling.core import Extent

MAX_HEADER_LINES = 60
# What may stand right of the cursor without making it the middle of a line.
_CLOSERS = frozenset(")]}>\"'`;:, \t\r")
# For languages without a grammar.
_OPENERS = ("{", "(", "[", ":")
_LAST_WORD = re.compile(r"\w+(?=\s*$)")
_WORD = re.compile(rb"\w+")
DOCSTRING_ENDS = ('"""', "'''")
_COMMENT_STARTS = ("#", "//", "*/", '"""', "'''", "@")


@cache
def _parser(grammar: str) -> Parser | None:
    language = load_grammar(grammar)
    return Parser(language) if language is not None else None


@dataclass(frozen=True)
class SyntaxTree:
    """A parsed text. `source` is the text in UTF-8: tree-sitter counts bytes. Of a long one only what is
    in the `window` was parsed (None: all), and stands in `source`, at its own place."""

    language: LanguageSyntax
    source: bytes
    tree: Tree
    window: Window | None = None

    def num_bytes(self, text: str, offset: int) -> int:
        """How many bytes of `source` stand before an offset (code points) of its `text`."""
        if self.window is not None and offset >= self.window.start:
            return self.window.num_bytes(offset)
        return len(text[:offset].encode("utf-8", errors="surrogatepass"))

    def node_at(self, offset_bytes: int) -> Node | None:
        """The smallest node around the character left of a byte offset."""
        start = max(0, offset_bytes - 1)
        return self.tree.root_node.descendant_for_byte_range(start, start)


def parse(
    language: str, text: str, old: SyntaxTree | None = None, cursor: int | None = None
) -> SyntaxTree | None:
    """Parse `text`, reusing what an `old` tree of an earlier version still says. With a `cursor` (code
    points) a long text is parsed in a window around it.

    None for a language without a grammar that loads.
    """
    syntax = LANGUAGES.get(language)
    parser = _parser(syntax.grammar) if syntax is not None else None
    if syntax is None or parser is None:
        return None
    if old is not None and old.language.grammar != syntax.grammar:
        old = None
    known = old.window if old is not None else None
    window = None
    if cursor is not None and (old is None or known is not None):  # parsed whole once, it stays so
        window = window_at(text, cursor, language, known)
    source = window.source() if window else text.encode("utf-8", errors="surrogatepass")
    if old is None or not _is_continued(known, window):
        return SyntaxTree(syntax, source, parser.parse(source), window)
    if old.source == source:
        return replace(old, window=window)
    return SyntaxTree(syntax, source, parser.parse(source, _edited(old, source)), window)


def _is_continued(old: Window | None, new: Window | None) -> bool:
    if old is None or new is None:
        return old is new
    return new.goes_on_from(old)


def _edited(old: SyntaxTree, new: bytes) -> Tree:
    """A copy of the old tree, told which single range of bytes differs in the new source."""
    before = old.source
    start = common_prefix_len(before, new)
    room = min(len(before), len(new)) - start
    same_end = min(room, common_suffix_len(before, new))
    old_end, new_end = len(before) - same_end, len(new) - same_end
    row = before.count(b"\n", 0, start)
    tree = old.tree.copy()
    tree.edit(
        start_byte=start,
        old_end_byte=old_end,
        new_end_byte=new_end,
        start_point=Point(row, _column(before, start)),
        old_end_point=Point(row + before.count(b"\n", start, old_end), _column(before, old_end)),
        new_end_point=Point(row + new.count(b"\n", start, new_end), _column(new, new_end)),
    )
    return tree


def _column(source: bytes, offset: int) -> int:
    return offset - (source.rfind(b"\n", 0, offset) + 1)


def extent_at(tree: SyntaxTree | None, text: str, offset: int) -> Extent:
    """How far a completion at `offset` (code points) may reach.

    A block is written where one is missing: after an opener, at the colon of a header however many
    lines it has, in an empty body, behind a docstring that is all of a body, on a blank line that ends
    its scope or follows a comment, on a header line being typed. Everywhere else, and always inside
    comments and strings, the line is finished and no more.
    """
    line_start = text.rfind("\n", 0, offset) + 1
    line_end = text.find("\n", offset)
    line_end = len(text) if line_end < 0 else line_end
    before, after = text[line_start:offset], text[offset:line_end]
    if any(char not in _CLOSERS for char in after):
        return Extent.LINE
    if tree is not None and _in_prose(tree, text, offset):
        return Extent.LINE
    below = _line_below(text, line_end)
    if not before.strip():
        return _extent_on_blank_line(tree, text, line_start, line_end, len(before))
    if below is not None and indent_of(below) > indent_of(before):
        return Extent.LINE  # the body is there already
    if _opens(before, tree):
        is_argument_list = after.startswith((")", "]"))
        return Extent.LINE if is_argument_list else Extent.BLOCK
    if tree is None:
        return Extent.LINE
    if _first_word(before) in tree.language.header_words:
        return Extent.BLOCK
    line = before.rstrip()
    last = tree.node_at(tree.num_bytes(text, line_start + len(line)))
    if line.endswith(":"):
        word = _statement_word(tree, last) or _first_word(_first_line(text, line_start, before))
        return Extent.BLOCK if word in tree.language.header_words else Extent.LINE
    if line.endswith(DOCSTRING_ENDS) and not after.strip() and _is_whole_body(tree, last):
        is_below = below is not None and indent_of(below) == indent_of(before)
        return Extent.LINE if is_below else Extent.BLOCK
    return Extent.LINE


def _extent_on_blank_line(
    tree: SyntaxTree | None, text: str, line_start: int, line_end: int, indent: int
) -> Extent:
    """A blank line squeezed between two statements takes one more line; elsewhere, a block."""
    above, below = _line_above(text, line_start), _line_below(text, line_end)
    if above is None or below is None or text[line_end + 1 : line_end + 2] in ("\n", "\r", ""):
        return Extent.BLOCK
    opens = above.rstrip().endswith(":") or _opens(above, tree)
    is_comment = above.lstrip().startswith(_COMMENT_STARTS)
    is_between = min(indent_of(above), indent_of(below)) >= indent
    return Extent.LINE if is_between and not opens and not is_comment else Extent.BLOCK


def _opens(line: str, tree: SyntaxTree | None) -> bool:
    """Whether a line ends with what opens a block: a mark, or a word such as `then`."""
    openers = _OPENERS if tree is None else tree.language.openers
    last = _LAST_WORD.search(line)
    return last[0] in openers if last else line.rstrip().endswith(openers)


def _statement_word(tree: SyntaxTree, colon: Node | None) -> str:
    """The word that the smallest node around `colon` begins with; "" where the tree has an error."""
    node = colon.parent if colon is not None else None
    if colon is None or node is None or colon.type != ":" or node.is_error:
        return ""
    word = _WORD.match(tree.source, node.start_byte)
    return word[0].decode("ascii") if word else ""


def _is_whole_body(tree: SyntaxTree, end: Node | None) -> bool:
    """Whether a string that ends with `end` is the only statement of a Python function or class."""
    if tree.language.family != "python" or end is None or end.type != "string_end":
        return False
    string = end.parent
    statement = string.parent if string is not None else None
    body = statement.parent if statement is not None else None
    if statement is None or statement.type != "expression_statement":
        return False
    if body is None or body.parent is None or body.named_child_count != 1:
        return False
    return body.parent.type in ("function_definition", "class_definition")


def _first_line(text: str, line_start: int, line: str) -> str:
    """Where the brackets were opened that `line`, which begins at `line_start`, closes: the first line
    of a header over several. The line itself if it closes none.

    For where the tree has an error: brackets in strings and comments count here.
    """
    depth = 0
    for _ in range(MAX_HEADER_LINES):
        depth += sum(map(line.count, ")]}")) - sum(map(line.count, "([{"))
        if depth <= 0 or line_start == 0:
            break
        start = text.rfind("\n", 0, line_start - 1) + 1
        line, line_start = text[start : line_start - 1], start
    return line


def _in_prose(tree: SyntaxTree, text: str, offset: int) -> bool:
    offset_bytes = tree.num_bytes(text, offset)
    node = tree.node_at(offset_bytes)
    if node is None or node.type not in tree.language.texts:
        return False
    # Rust's doc comments reach over their line break.
    is_line_below = text[offset - 1 : offset] == "\n" and "comment" in node.type
    return not (is_line_below and node.end_byte <= offset_bytes)


def _first_word(line: str) -> str:
    return line.split(None, 1)[0].rstrip(":({") if line.strip() else ""


def _line_below(text: str, line_end: int) -> str | None:
    """The next line with anything on it."""
    while 0 <= line_end < len(text):
        end = text.find("\n", line_end + 1)
        line = text[line_end + 1 : end if end >= 0 else len(text)]
        if line.strip():
            return line
        line_end = end
    return None


def _line_above(text: str, line_start: int) -> str | None:
    """The line above with anything on it."""
    while line_start > 0:
        start = text.rfind("\n", 0, line_start - 1) + 1
        line = text[start : line_start - 1]
        if line.strip():
            return line
        line_start = start
    return None
