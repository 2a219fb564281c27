"""Python's formatters and linters: ruff, black, yapf, autopep8, isort, flake8, pydocstyle, mypy."""

from collections.abc import Iterator

from inkling.style.configs.reading import ConfigFiles, Table
from inkling.style.rules import Kind, Rule

FAMILY = "python"
_CONVENTIONS = frozenset({"google", "numpy"})  # pep257 leaves the form of sections open
_QUOTES = frozenset({"single", "double"})
# What black and ruff do unless told otherwise.
_BLACK_LINE_LENGTH = 88
_RUFF_HOOKS = frozenset({"ruff-format"})
_BLACK_HOOKS = frozenset({"black", "black-jupyter"})
# E501 is the rule on long lines; B950 is flake8-bugbear's, 10 % more lenient.
_LONG_LINES = frozenset({"E501", "E5", "E", "ALL"})


def python_rules(files: ConfigFiles) -> Iterator[Rule]:
    """What is declared for Python, the formatter first, then linters."""
    tool = files.toml("pyproject.toml").table("tool")
    hooks = hook_ids(files)
    yield from _ruff(_ruff_table(files, tool), is_hook=bool(hooks & _RUFF_HOOKS))
    yield from _black(tool, is_hook=bool(hooks & _BLACK_HOOKS))
    yield from _yapf(_first(tool.table("yapf"), files.ini("setup.cfg").table("yapf")))
    yield from _flake8(files, tool)
    yield from _isort(_first(tool.table("isort"), files.ini("setup.cfg").table("isort")))
    yield from _pydocstyle(tool, files)
    yield from _mypy(tool.table("mypy"), files)


def hook_ids(files: ConfigFiles) -> set[str]:
    """The ids of the hooks in `.pre-commit-config.yaml`: which formatters are run."""
    found = set()
    repos = files.yaml(".pre-commit-config.yaml").values.get("repos")
    for repo in repos if isinstance(repos, list) else ():
        hooks = repo.get("hooks") if isinstance(repo, dict) else None
        for hook in hooks if isinstance(hooks, list) else ():
            if isinstance(hook, dict):
                found.add(str(hook.get("id")))
    return found


def _first(*tables: Table) -> Table:
    return next((table for table in tables if table), tables[0])


def _ruff_table(files: ConfigFiles, tool: Table) -> Table:
    """Ruff takes the first of these and reads no other."""
    return _first(files.toml(".ruff.toml"), files.toml("ruff.toml"), tool.table("ruff"))


def _ruff(ruff: Table, *, is_hook: bool) -> Iterator[Rule]:
    form, lint = ruff.table("format"), ruff.table("lint")
    formats = is_hook or "format" in ruff
    default = ruff if "format" not in ruff else form
    note = ", ruff format's default" if "format" in ruff else ", ruff format in pre-commit"

    line_length = ruff.number("line-length")
    ignored = {*lint.words("ignore"), *lint.words("extend-ignore"), *ruff.words("ignore")}
    if line_length is not None and (formats or not ignored & _LONG_LINES):
        yield ruff.rule(Kind.LINE_LENGTH, str(line_length), FAMILY, "line-length")
    elif line_length is None and formats:
        yield default.rule(Kind.LINE_LENGTH, str(_BLACK_LINE_LENGTH), FAMILY, note=note)

    if form.text("indent-style") == "tab":
        yield form.rule(Kind.INDENT, "tabs", FAMILY, "indent-style")
    elif (width := ruff.number("indent-width")) is not None:
        yield ruff.rule(Kind.INDENT, f"{width} spaces", FAMILY, "indent-width")
    elif formats:
        yield default.rule(Kind.INDENT, "4 spaces", FAMILY, note=note)

    quotes = lint.table("flake8-quotes")
    if (style := form.text("quote-style")) in _QUOTES:
        yield form.rule(Kind.QUOTES, str(style), FAMILY, "quote-style")
    elif (style := quotes.text("inline-quotes")) in _QUOTES:
        yield quotes.rule(Kind.QUOTES, str(style), FAMILY, "inline-quotes")
    elif formats and form.text("quote-style") is None:
        yield default.rule(Kind.QUOTES, "double", FAMILY, note=note)

    doc = lint.table("pydocstyle")
    if (convention := doc.text("convention")) in _CONVENTIONS:
        yield doc.rule(Kind.DOCSTRINGS, str(convention), FAMILY, "convention")
    selected = {*lint.words("select"), *lint.words("extend-select"), *ruff.words("select")}
    if selected & {"I", "I001"}:
        yield lint.rule(Kind.IMPORT_ORDER, "grouped", FAMILY, note=" has I")
    if "ANN" in selected:
        yield lint.rule(Kind.TYPE_HINTS, "full", FAMILY, note=" has ANN")


def _black(tool: Table, *, is_hook: bool) -> Iterator[Rule]:
    black = tool.table("black")
    if not is_hook and "black" not in tool:
        return
    note = ", black's default"
    length = black.number("line-length")
    key = "line-length" if length is not None else ""
    value = str(length if length is not None else _BLACK_LINE_LENGTH)
    yield black.rule(Kind.LINE_LENGTH, value, FAMILY, key, "" if key else note)
    yield black.rule(Kind.INDENT, "4 spaces", FAMILY, note=note)
    if not black.flag("skip-string-normalization"):
        yield black.rule(Kind.QUOTES, "double", FAMILY, note=note)


def _yapf(yapf: Table) -> Iterator[Rule]:
    if (limit := yapf.number("column_limit")) is not None:
        yield yapf.rule(Kind.LINE_LENGTH, str(limit), FAMILY, "column_limit")
    if yapf.flag("use_tabs"):
        yield yapf.rule(Kind.INDENT, "tabs", FAMILY, "use_tabs")
    elif (width := yapf.number("indent_width")) is not None:
        yield yapf.rule(Kind.INDENT, f"{width} spaces", FAMILY, "indent_width")


def _flake8(files: ConfigFiles, tool: Table) -> Iterator[Rule]:
    tables = [files.ini(name).table("flake8") for name in (".flake8", "setup.cfg", "tox.ini")]
    flake8 = _first(*tables, tool.table("flake8"))
    values = {key.replace("_", "-"): value for key, value in flake8.values.items()}
    flake8 = Table(flake8.file, flake8.path, values, flake8.problems)
    ignored = {*flake8.words("ignore"), *flake8.words("extend-ignore")}
    limit = flake8.number("max-line-length")
    if limit is not None and not ignored & _LONG_LINES:
        yield flake8.rule(Kind.LINE_LENGTH, str(limit), FAMILY, "max-line-length")
    if (style := flake8.text("inline-quotes")) in _QUOTES:
        yield flake8.rule(Kind.QUOTES, str(style), FAMILY, "inline-quotes")
    if (convention := flake8.text("docstring-convention")) in _CONVENTIONS:
        yield flake8.rule(Kind.DOCSTRINGS, str(convention), FAMILY, "docstring-convention")


def _isort(isort: Table) -> Iterator[Rule]:
    if isort:
        yield isort.rule(Kind.IMPORT_ORDER, "grouped", FAMILY)


def _pydocstyle(tool: Table, files: ConfigFiles) -> Iterator[Rule]:
    inis = [files.ini(name).table("pydocstyle") for name in ("setup.cfg", "tox.ini")]
    table = _first(tool.table("pydocstyle"), files.ini(".pydocstyle").table("pydocstyle"), *inis)
    if (convention := table.text("convention")) in _CONVENTIONS:
        yield table.rule(Kind.DOCSTRINGS, str(convention), FAMILY, "convention")


def _mypy(mypy: Table, files: ConfigFiles) -> Iterator[Rule]:
    table = _first(mypy, files.ini("mypy.ini").table("mypy"), files.ini("setup.cfg").table("mypy"))
    for key in ("strict", "disallow_untyped_defs"):
        if table.flag(key):
            yield table.rule(Kind.TYPE_HINTS, "full", FAMILY, key)
            return
