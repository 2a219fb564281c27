"""Formatters of other languages: gofmt, rustfmt, clang-format, rubocop."""

from collections.abc import Iterator

from inkling.style.configs.reading import ConfigFiles
from inkling.style.rules import Kind, Rank, Rule

# `BasedOnStyle` → width of the indent, column limit (0: none), from clang-format's documentation.
_CLANG_STYLES = {
    "llvm": (2, 80),
    "google": (2, 80),
    "chromium": (2, 80),
    "mozilla": (2, 80),
    "gnu": (2, 79),
    "webkit": (4, 0),
    "microsoft": (4, 120),
}
_CLANG_TABS = frozenset({"Always", "ForIndentation", "ForContinuationAndIndentation", "true"})


def go_rules(files: ConfigFiles) -> Iterator[Rule]:
    """There is one format of Go."""
    yield Rule(Kind.INDENT, "tabs", "go", "gofmt", Rank.CONFIGURED)


def rust_rules(files: ConfigFiles) -> Iterator[Rule]:
    rustfmt = files.toml("rustfmt.toml") or files.toml(".rustfmt.toml")
    if rustfmt.flag("hard_tabs"):
        yield rustfmt.rule(Kind.INDENT, "tabs", "rust", "hard_tabs")
    elif (width := rustfmt.number("tab_spaces")) is not None:
        yield rustfmt.rule(Kind.INDENT, f"{width} spaces", "rust", "tab_spaces")
    if (width := rustfmt.number("max_width")) is not None:
        yield rustfmt.rule(Kind.LINE_LENGTH, str(width), "rust", "max_width")


def c_rules(files: ConfigFiles) -> Iterator[Rule]:
    clang = files.yaml(".clang-format") or files.yaml("_clang-format")
    base = clang.text("BasedOnStyle") or ""
    indent, limit = _CLANG_STYLES.get(base.lower(), (None, None))
    width, columns = clang.number("IndentWidth"), clang.number("ColumnLimit")
    if str(clang.values.get("UseTab")) in _CLANG_TABS:
        yield clang.rule(Kind.INDENT, "tabs", "c", "UseTab")
    elif width is not None:
        yield clang.rule(Kind.INDENT, f"{width} spaces", "c", "IndentWidth")
    elif indent is not None:
        yield clang.rule(Kind.INDENT, f"{indent} spaces", "c", "BasedOnStyle")
    if columns:
        yield clang.rule(Kind.LINE_LENGTH, str(columns), "c", "ColumnLimit")
    elif limit and columns is None:
        yield clang.rule(Kind.LINE_LENGTH, str(limit), "c", "BasedOnStyle")


def ruby_rules(files: ConfigFiles) -> Iterator[Rule]:
    rubocop = files.yaml(".rubocop.yml")
    indent = rubocop.table("Layout/IndentationWidth")
    if (width := indent.number("Width")) is not None:
        yield indent.rule(Kind.INDENT, f"{width} spaces", "ruby", "Width")
    length = rubocop.table("Layout/LineLength")
    limit = length.number("Max")
    if limit is not None and length.flag("Enabled") is not False:
        yield length.rule(Kind.LINE_LENGTH, str(limit), "ruby", "Max")
    literals = rubocop.table("Style/StringLiterals")
    style = (literals.text("EnforcedStyle") or "").removesuffix("_quotes")
    if style in ("single", "double") and literals.flag("Enabled") is not False:
        yield literals.rule(Kind.QUOTES, style, "ruby", "EnforcedStyle")
