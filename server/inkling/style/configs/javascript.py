"""The formatters and linters of JavaScript and TypeScript: prettier, biome, eslint."""

from collections.abc import Iterator
from dataclasses import dataclass

from inkling.style.configs.python import hook_ids
from inkling.style.configs.reading import ConfigFiles, Table
from inkling.style.rules import Kind, Rule

FAMILY = "javascript"


@dataclass(frozen=True)
class _Layout:
    """One tool's settings as rules' values, None where it says nothing; and where they stand."""

    indent: str | None
    quotes: str | None
    semicolons: str | None
    line_length: str | None
    trailing_commas: str | None


# What prettier 3 and biome do unless told otherwise.
_PRETTIER = _Layout("2 spaces", "double", "always", "80", "always")
_BIOME = _Layout("tabs", "double", "always", "80", "always")


def javascript_rules(files: ConfigFiles) -> Iterator[Rule]:
    """What the tools are told, formatters first."""
    yield from _prettier(_prettier_table(files))
    yield from _biome(_biome_table(files))
    yield from _eslint(_eslint_table(files))


def javascript_defaults(files: ConfigFiles) -> Iterator[Rule]:
    """What a formatter that is there does by itself; `.editorconfig` may say otherwise."""
    prettier, biome = _prettier_table(files), _biome_table(files)
    if "prettier" in hook_ids(files) or files.is_there(prettier.file):
        yield from _layout(_PRETTIER, prettier, ", prettier's default")
    elif biome:
        yield from _layout(_BIOME, biome, ", biome's default")


def _layout(layout: _Layout, table: Table, note: str) -> Iterator[Rule]:
    for kind, value in (
        (Kind.INDENT, layout.indent),
        (Kind.QUOTES, layout.quotes),
        (Kind.SEMICOLONS, layout.semicolons),
        (Kind.LINE_LENGTH, layout.line_length),
        (Kind.TRAILING_COMMAS, layout.trailing_commas),
    ):
        if value is not None:
            yield table.rule(kind, value, FAMILY, note=note)


def _prettier_table(files: ConfigFiles) -> Table:
    package = files.json("package.json")
    tables = (
        package.table("prettier") if isinstance(package.values.get("prettier"), dict) else None,
        files.yaml(".prettierrc"),  # YAML, and so JSON
        files.json(".prettierrc.json"),
        files.yaml(".prettierrc.yaml"),
        files.yaml(".prettierrc.yml"),
        files.toml(".prettierrc.toml"),
    )
    # An empty file is enough for prettier to take its defaults.
    return next((table for table in tables if table), files.yaml(".prettierrc"))


def _prettier(prettier: Table) -> Iterator[Rule]:
    if prettier.flag("useTabs"):
        yield prettier.rule(Kind.INDENT, "tabs", FAMILY, "useTabs")
    elif (width := prettier.number("tabWidth")) is not None:
        yield prettier.rule(Kind.INDENT, f"{width} spaces", FAMILY, "tabWidth")
    if (single := prettier.flag("singleQuote")) is not None:
        yield prettier.rule(Kind.QUOTES, "single" if single else "double", FAMILY, "singleQuote")
    if (semi := prettier.flag("semi")) is not None:
        yield prettier.rule(Kind.SEMICOLONS, "always" if semi else "never", FAMILY, "semi")
    if (width := prettier.number("printWidth")) is not None:
        yield prettier.rule(Kind.LINE_LENGTH, str(width), FAMILY, "printWidth")
    if (comma := prettier.text("trailingComma")) in ("all", "es5", "none"):
        value = "never" if comma == "none" else "always"
        yield prettier.rule(Kind.TRAILING_COMMAS, value, FAMILY, "trailingComma")


def _biome_table(files: ConfigFiles) -> Table:
    return files.json("biome.json") or files.json("biome.jsonc")


def _biome(biome: Table) -> Iterator[Rule]:
    script = biome.table("javascript", "formatter")
    for form in (script, biome.table("formatter")):
        if (style := form.text("indentStyle")) == "tab":
            yield form.rule(Kind.INDENT, "tabs", FAMILY, "indentStyle")
        elif style == "space":
            width = form.number("indentWidth")
            spaces = f"{2 if width is None else width} spaces"
            yield form.rule(Kind.INDENT, spaces, FAMILY, "indentStyle")
        if (width := form.number("lineWidth")) is not None:
            yield form.rule(Kind.LINE_LENGTH, str(width), FAMILY, "lineWidth")
    if (quotes := script.text("quoteStyle")) in ("single", "double"):
        yield script.rule(Kind.QUOTES, str(quotes), FAMILY, "quoteStyle")
    if (semicolons := script.text("semicolons")) in ("always", "asNeeded"):
        value = "always" if semicolons == "always" else "never"
        yield script.rule(Kind.SEMICOLONS, value, FAMILY, "semicolons")
    if (commas := script.text("trailingCommas")) in ("all", "es5", "none"):
        value = "never" if commas == "none" else "always"
        yield script.rule(Kind.TRAILING_COMMAS, value, FAMILY, "trailingCommas")


def _eslint_table(files: ConfigFiles) -> Table:
    package = files.json("package.json")
    return (
        files.json(".eslintrc.json")
        or files.yaml(".eslintrc.yaml")
        or files.yaml(".eslintrc.yml")
        or files.yaml(".eslintrc")
        or package.table("eslintConfig")
    )


def _eslint(eslint: Table) -> Iterator[Rule]:
    rules = eslint.table("rules")
    indent = _option(rules, "indent")
    if indent == "tab":
        yield rules.rule(Kind.INDENT, "tabs", FAMILY, "indent")
    elif isinstance(indent, int):
        yield rules.rule(Kind.INDENT, f"{indent} spaces", FAMILY, "indent")
    if (quotes := _option(rules, "quotes")) in ("single", "double"):
        yield rules.rule(Kind.QUOTES, str(quotes), FAMILY, "quotes")
    if (semi := _option(rules, "semi")) in ("always", "never"):
        yield rules.rule(Kind.SEMICOLONS, str(semi), FAMILY, "semi")
    limit = _option(rules, "max-len")
    if isinstance(limit, dict):
        limit = limit.get("code")
    if isinstance(limit, int):
        yield rules.rule(Kind.LINE_LENGTH, str(limit), FAMILY, "max-len")
    comma = _option(rules, "comma-dangle")
    if comma in ("always", "always-multiline", "never"):
        value = "never" if comma == "never" else "always"
        yield rules.rule(Kind.TRAILING_COMMAS, value, FAMILY, "comma-dangle")


def _option(rules: Table, name: str) -> object:
    """The first option of a rule that is on: `["error", "single"]`."""
    value = rules.values.get(name)
    if not isinstance(value, list) or len(value) < 2 or value[0] in ("off", 0):
        return None
    return None if isinstance(value[1], bool) else value[1]
