"""Each configuration file, as a team would write it, and what it declares."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from inkling.style.configs.editorconfig import editorconfig_rules
from inkling.style.configs.javascript import javascript_defaults, javascript_rules
from inkling.style.configs.others import c_rules, go_rules, ruby_rules, rust_rules
from inkling.style.configs.python import python_rules
from inkling.style.configs.reading import ConfigFiles
from inkling.style.render import sentence
from inkling.style.rules import Kind, Rule
from tests.unit.style.pictures import found, repository

Reader = Callable[[ConfigFiles], Iterator[Rule]]
INDENT, QUOTES, LENGTH = Kind.INDENT, Kind.QUOTES, Kind.LINE_LENGTH
BLACK = {INDENT: "4 spaces", QUOTES: "double", LENGTH: "88"}
PRE_COMMIT = "repos:\n- repo: x\n  hooks:\n  - id: {}\n"


def read(root: Path, reader: Reader, files: dict[str, str]) -> list[Rule]:
    config = ConfigFiles(repository(root, files))
    rules = list(reader(config))
    assert config.problems == []
    assert all(sentence(rule).endswith(".") for rule in rules)
    return rules


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        ("pyproject.toml", "[tool.ruff]\nline-length = 100\n", {LENGTH: "100"}),
        ("pyproject.toml", '[tool.ruff]\nline-length = 100\nlint.ignore = ["E501"]\n', {}),
        ("pyproject.toml", "[tool.ruff.format]\ndocstring-code-format = true\n", BLACK),
        (
            "pyproject.toml",
            (
                '[tool.ruff]\nline-length = 79\n[tool.ruff.format]\nquote-style = "single"\n'
                'indent-style = "tab"\n[tool.ruff.lint]\nselect = ["E", "I", "ANN"]\nignore = ["E501"]\n'
                '[tool.ruff.lint.pydocstyle]\nconvention = "google"\n'
            ),
            {
                LENGTH: "79",
                QUOTES: "single",
                INDENT: "tabs",
                Kind.DOCSTRINGS: "google",
                Kind.IMPORT_ORDER: "grouped",
                Kind.TYPE_HINTS: "full",
            },
        ),
        (
            "ruff.toml",
            'indent-width = 2\n[lint.flake8-quotes]\ninline-quotes = "single"\n',
            {INDENT: "2 spaces", QUOTES: "single"},
        ),
        (
            ".ruff.toml",
            '[format]\nquote-style = "preserve"\n',
            {INDENT: "4 spaces", LENGTH: "88"},
        ),
        ("pyproject.toml", "[tool.black]\n", BLACK),
        (
            "pyproject.toml",
            "[tool.black]\nline-length = 120\nskip-string-normalization = true\n",
            {INDENT: "4 spaces", LENGTH: "120"},
        ),
        (".pre-commit-config.yaml", PRE_COMMIT.format("ruff-format"), BLACK),
        (".pre-commit-config.yaml", PRE_COMMIT.format("black"), BLACK),
        (".pre-commit-config.yaml", PRE_COMMIT.format("ruff-check"), {}),
        (".flake8", "[flake8]\nmax-line-length = 99\n", {LENGTH: "99"}),
        ("setup.cfg", "[flake8]\nmax_line_length = 99\nextend-ignore = E203, E501\n", {}),
        (
            "tox.ini",
            "[flake8]\ndocstring-convention = numpy\ninline-quotes = double\n",
            {Kind.DOCSTRINGS: "numpy", QUOTES: "double"},
        ),
        (
            "pyproject.toml",
            "[tool.yapf]\ncolumn_limit = 100\nindent_width = 2\n",
            {LENGTH: "100", INDENT: "2 spaces"},
        ),
        ("pyproject.toml", '[tool.isort]\nprofile = "black"\n', {Kind.IMPORT_ORDER: "grouped"}),
        (
            "setup.cfg",
            "[pydocstyle]\nconvention = google\n[mypy]\nstrict = True\n",
            {Kind.DOCSTRINGS: "google", Kind.TYPE_HINTS: "full"},
        ),
        ("pyproject.toml", '[tool.pydocstyle]\nconvention = "pep257"\n', {}),
        ("pyproject.toml", "[project]\nname = 'a'\n", {}),
    ],
)
def test_python(tmp_path: Path, file: str, text: str, expected: dict[Kind, str]) -> None:
    assert found(read(tmp_path, python_rules, {file: text})) == expected


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        (
            ".prettierrc",
            (
                '{"tabWidth": 4, "singleQuote": true, "semi": false, "printWidth": 100,'
                ' "trailingComma": "none"}'
            ),
            {
                INDENT: "4 spaces",
                QUOTES: "single",
                Kind.SEMICOLONS: "never",
                LENGTH: "100",
                Kind.TRAILING_COMMAS: "never",
            },
        ),
        (".prettierrc", "useTabs: true\n", {INDENT: "tabs"}),
        (".prettierrc.json", '{"semi": true}', {Kind.SEMICOLONS: "always"}),
        (".prettierrc.yaml", "printWidth: 90\n", {LENGTH: "90"}),
        (".prettierrc.toml", "singleQuote = false\n", {QUOTES: "double"}),
        ("package.json", '{"prettier": {"tabWidth": 2}}', {INDENT: "2 spaces"}),
        ("package.json", '{"prettier": "@company/config"}', {}),
        (
            ".eslintrc.json",
            (
                '{// ours\n"rules": {"quotes": ["error", "single"], "indent": [2, 4, {"SwitchCase": 1}],'
                ' "semi": ["off", "always"], "max-len": ["warn", {"code": 110}],'
                ' "comma-dangle": ["error", "always-multiline"],}}'
            ),
            {
                QUOTES: "single",
                INDENT: "4 spaces",
                LENGTH: "110",
                Kind.TRAILING_COMMAS: "always",
            },
        ),
        (
            ".eslintrc.yml",
            "rules:\n  indent: [error, tab]\n  semi: [error, never]\n",
            {INDENT: "tabs", Kind.SEMICOLONS: "never"},
        ),
        (
            "biome.json",
            (
                '{"formatter": {"indentStyle": "space", "lineWidth": 90}, "javascript": {"formatter":'
                ' {"quoteStyle": "single", "semicolons": "asNeeded", "trailingCommas": "none"}}}'
            ),
            {
                INDENT: "2 spaces",
                LENGTH: "90",
                QUOTES: "single",
                Kind.SEMICOLONS: "never",
                Kind.TRAILING_COMMAS: "never",
            },
        ),
    ],
)
def test_javascript(tmp_path: Path, file: str, text: str, expected: dict[Kind, str]) -> None:
    assert found(read(tmp_path, javascript_rules, {file: text})) == expected


def test_a_formatter_that_is_there_has_defaults(tmp_path: Path) -> None:
    rules = found(read(tmp_path, javascript_defaults, {".prettierrc": ""}))
    assert rules == {
        INDENT: "2 spaces",
        QUOTES: "double",
        LENGTH: "80",
        Kind.SEMICOLONS: "always",
        Kind.TRAILING_COMMAS: "always",
    }
    (tmp_path / ".prettierrc").unlink()
    assert read(tmp_path, javascript_defaults, {}) == []
    biome = found(read(tmp_path, javascript_defaults, {"biome.json": '{"root": true}'}))
    assert biome[INDENT] == "tabs"


@pytest.mark.parametrize(
    ("reader", "file", "text", "expected"),
    [
        (
            rust_rules,
            "rustfmt.toml",
            "max_width = 90\ntab_spaces = 2\n",
            {INDENT: "2 spaces", LENGTH: "90"},
        ),
        (rust_rules, ".rustfmt.toml", "hard_tabs = true\n", {INDENT: "tabs"}),
        (c_rules, ".clang-format", "BasedOnStyle: Google\n", {INDENT: "2 spaces", LENGTH: "80"}),
        (
            c_rules,
            ".clang-format",
            "BasedOnStyle: LLVM\nIndentWidth: 8\nColumnLimit: 0\nUseTab: Always\n",
            {INDENT: "tabs"},
        ),
        (
            c_rules,
            ".clang-format",
            "---\nLanguage: Java\nIndentWidth: 3\n---\nLanguage: Cpp\nIndentWidth: 4\n",
            {INDENT: "4 spaces"},
        ),
        (
            ruby_rules,
            ".rubocop.yml",
            (
                "Layout/LineLength:\n  Max: 120\nStyle/StringLiterals:\n  EnforcedStyle: double_quotes\n"
                "Layout/IndentationWidth:\n  Width: 2\n"
            ),
            {LENGTH: "120", QUOTES: "double", INDENT: "2 spaces"},
        ),
        (ruby_rules, ".rubocop.yml", "Layout/LineLength:\n  Max: 120\n  Enabled: false\n", {}),
        (go_rules, "go.mod", "module a\n", {INDENT: "tabs"}),
    ],
)
def test_other_languages(
    tmp_path: Path, reader: Reader, file: str, text: str, expected: dict[Kind, str]
) -> None:
    assert found(read(tmp_path, reader, {file: text})) == expected


def test_editorconfig_speaks_by_its_sections(tmp_path: Path) -> None:
    repository(
        tmp_path,
        {
            ".editorconfig": (
                "root = true\n[*]\nindent_style = space\nindent_size = 4\n"
                "[*.{js,ts}]\nindent_size = 2\nmax_line_length = 100\n[*.go]\nindent_style = tab\n"
                "[Makefile]\nindent_style = tab\n[lib/**.js]\nmax_line_length = off\n"
            )
        },
    )
    files = ConfigFiles(tmp_path)
    python = list(editorconfig_rules(files, "python", ["a.py", "lib/b.py"]))
    assert found(python) == {INDENT: "4 spaces"}
    assert python[0].source == ".editorconfig, indent_size"
    script = editorconfig_rules(files, "javascript", ["a.js", "src/b.ts"])
    assert found(list(script)) == {INDENT: "2 spaces", LENGTH: "100"}
    in_lib = editorconfig_rules(files, "javascript", ["lib/a.js", "lib/c/b.js"])
    assert found(list(in_lib)) == {INDENT: "2 spaces"}
    assert found(list(editorconfig_rules(files, "go", ["a.go"]))) == {INDENT: "tabs"}
    assert files.problems == []


def test_the_nearest_editorconfig_wins_and_a_root_ends_the_search(tmp_path: Path) -> None:
    repository(
        tmp_path,
        {
            ".editorconfig": "[*]\nindent_style = space\nindent_size = 4\nmax_line_length = 90\n",
            "web/.editorconfig": "[*]\nindent_size = 2\n",
            "old/.editorconfig": "root = true\n[*]\nindent_style = tab\n",
        },
    )
    files = ConfigFiles(tmp_path)
    web = list(editorconfig_rules(files, "javascript", ["web/a.js"]))
    assert found(web) == {INDENT: "2 spaces", LENGTH: "90"}
    assert {rule.source for rule in web} == {
        "web/.editorconfig, indent_size",
        ".editorconfig, max_line_length",
    }
    old = list(editorconfig_rules(files, "javascript", ["old/a.js"]))
    assert found(old) == {INDENT: "tabs"}


def test_a_rule_names_its_file_and_key(tmp_path: Path) -> None:
    text = "[tool.ruff]\nline-length = 100\n[tool.ruff.format]\nskip-magic-trailing-comma = true\n"
    rules = read(tmp_path, python_rules, {"pyproject.toml": text})
    assert [rule.source for rule in rules] == [
        "pyproject.toml, tool.ruff.line-length",
        "pyproject.toml, tool.ruff.format, ruff format's default",
        "pyproject.toml, tool.ruff.format, ruff format's default",
    ]
