"""Where a completion goes: the document on both sides of the cursor, and what it says of itself."""

import re
from dataclasses import dataclass
from functools import cached_property

from inkling.context.languages import LANGUAGES
from inkling.context.marks import Marks, Scan, marks_of, match, scan
from inkling.context.scope import indent_of
from inkling.core import Extent

_LINE_WITH_TEXT = re.compile(r"^([ \t]*)(\S)", re.MULTILINE)

# Longer documents (characters) are not searched for their brackets: a token must not wait for it.
MAX_SCANNED = 400_000


@dataclass(frozen=True)
class Place:
    """`before` and `suffix` are all of the document left and right of the cursor; `language` is
    the LSP language id, "" for unknown. What filters ask of the document is found out once."""

    before: str
    suffix: str
    extent: Extent
    language: str = ""

    @cached_property
    def line_before(self) -> str:
        """The cursor's line left of the cursor."""
        return self.before[self.before.rfind("\n") + 1 :]

    @cached_property
    def marks(self) -> Marks | None:
        """How to read the document's brackets, None if that is not known."""
        is_short = len(self.before) + len(self.suffix) <= MAX_SCANNED
        return marks_of(self.language) if is_short else None

    @cached_property
    def is_last_of_statement(self) -> bool:
        """Whether the cursor's line may be the last of its statement: nothing stands right of the
        cursor, and below neither a deeper line nor a closer goes on with it."""
        rest, _, below = self.suffix.partition("\n")
        found = _LINE_WITH_TEXT.search(below)
        if rest.strip() or found is None:
            return not rest.strip()
        indent, margin = len(found[1]), indent_of(self.line_before)
        return indent < margin or (indent == margin and found[2] not in ")]}")

    @cached_property
    def may_go_on(self) -> bool:
        """Whether a single line may go on below while brackets of its own are open. Only where a parser
        can tell in the end that they were closed."""
        is_in_call = self.open_brackets.endswith(("(", "["))
        is_in_literal = self.language == "python" and bool(self.open_brackets)
        is_code = self.marks is not None and not self.inside and self.language in LANGUAGES
        return is_code and self.is_last_of_statement and not is_in_call and not is_in_literal

    @property
    def inside(self) -> str:
        """The mark that ends the string or comment the cursor is in, "" in code."""
        return self._scan_before.inside

    @cached_property
    def open_brackets(self) -> str:
        """The brackets open at the cursor, outermost first."""
        return match(self._scan_before.brackets)[0]

    @cached_property
    def closers_below(self) -> str:
        """The closers right of the cursor that the text right of it does not open."""
        return self._closers_after(self.inside)

    @cached_property
    def closers_below_code(self) -> str:
        """The same once the completion has left the string or comment the cursor is in."""
        return self._closers_after("") if self.inside else self.closers_below

    @cached_property
    def _scan_before(self) -> Scan:
        return Scan((), "") if self.marks is None else scan(self.before, self.marks)

    def _closers_after(self, inside: str) -> str:
        return (
            "" if self.marks is None else match(scan(self.suffix, self.marks, inside).brackets)[1]
        )
