"""Who wins, what is shown of those that do not, and what reaches the prompt."""

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inkling.style.command import NoFolder, report, show_style
from inkling.style.profile import Profile, read_profile
from inkling.style.render import MAX_CHARS, render
from inkling.style.rules import Kind, Rank
from tests.unit.style.pictures import held, profile_of, repeated, repository

CODE = repeated('def read_line_{n}(path):\n    return open(path, "r")\n\n\n')
SOURCES = {
    "src/a.py": CODE,
    "pyproject.toml": '[tool.ruff]\nline-length = 100\n[tool.ruff.format]\nquote-style = "single"\n',
    "AGENTS.md": "# Style\n\n- We write double-quoted strings.\n- Small functions are best.\n",
    ".inkling/style.md": "Quotes: single quotes, always.\nBe brief.\n",
}


def of_kind(profile: Profile, kind: Kind) -> list[tuple[str, Rank]]:
    return [(rule.value, rule.rank) for rule in profile.rules if rule.kind is kind]


def test_user_over_documents_over_configuration_over_code(tmp_path: Path) -> None:
    files: dict[str, str] = {}
    won = []
    for name, text in SOURCES.items():
        files[name] = text
        won.append(held(profile_of(tmp_path, files))[Kind.QUOTES])
    assert won == [
        *("double", "single", "We write double-quoted strings."),
        "Quotes: single quotes, always.",
    ]


def test_the_overridden_are_kept_and_shown(tmp_path: Path) -> None:
    profile = profile_of(tmp_path, SOURCES)
    assert [rank for _, rank in of_kind(profile, Kind.QUOTES)] == [
        *(Rank.USER, Rank.DOCUMENTED),  # of every language
        *(Rank.CONFIGURED, Rank.LEARNT),  # of Python
    ]
    text = "\n".join(report(profile))
    assert (
        "- quotes          single      pyproject.toml, tool.ruff.format.quote-style (overridden)"
        in text
    )
    assert (
        "- quotes          double      learnt from 24 of 24 strings in 1 file (overridden)" in text
    )
    assert "= indent          4 spaces    learnt from 24 of 24 blocks in 1 file (the same)" in text


def test_the_prompt_has_the_users_text_whole_then_what_holds(tmp_path: Path) -> None:
    assert render(profile_of(tmp_path, SOURCES), "python") == (
        "Quotes: single quotes, always.\n"
        "Be brief.\n"
        "Indent with 4 spaces.\n"
        "Lines up to 100 characters.\n"
        "No type hints.\n"
        "No doc comments on functions and classes.\n"
        "Name functions in snake_case.\n"
        "Small functions are best."
    )


def test_a_language_gets_its_own_rules_and_those_of_all(tmp_path: Path) -> None:
    files = SOURCES | {
        "web/a.ts": repeated("const a{n} = 'x'\n"),
        "web/.prettierrc": "tabWidth: 2\n",
    }
    profile = profile_of(tmp_path, files)
    assert render(profile, "typescript") == (
        "Quotes: single quotes, always.\nBe brief.\nIndent with 2 spaces.\n"
        "End statements with semicolons.\nLines up to 80 characters.\n"
        "Trailing commas in lists of several lines.\nSmall functions are best."
    )
    assert render(profile, "typescriptreact") == render(profile, "typescript")
    assert render(profile, "markdown") == (
        "Quotes: single quotes, always.\nBe brief.\nSmall functions are best."
    )


def test_a_configuration_beside_a_familys_code_counts_before_the_top(tmp_path: Path) -> None:
    files = {
        "web/src/a.ts": "const a = 'x';\n",
        "web/.prettierrc": "semi: false\n",
        ".prettierrc": "semi: true\nprintWidth: 100\n",
    }
    profile = profile_of(tmp_path, files)
    assert held(profile, "javascript")[Kind.SEMICOLONS] == "never"
    assert held(profile, "javascript")[Kind.LINE_LENGTH] == "100"
    first, second, *_ = (rule for rule in profile.rules if rule.kind is Kind.SEMICOLONS)
    assert (first.source, second.source) == ("web/.prettierrc, semi", ".prettierrc, semi")


def test_editorconfig_outweighs_only_what_a_formatter_does_unasked(tmp_path: Path) -> None:
    files = {
        "a.js": "x;\n",
        ".prettierrc": "printWidth: 90\n",
        ".editorconfig": "[*.js]\nindent_style = tab\nmax_line_length = 120\n",
    }
    rules = held(profile_of(tmp_path, files), "javascript")
    assert rules[Kind.INDENT] == "tabs"
    assert rules[Kind.LINE_LENGTH] == "90"


def test_the_same_repository_gives_the_same_bytes(tmp_path: Path) -> None:
    repository(tmp_path, SOURCES | {f"src/m{n}.py": CODE for n in range(40)})
    paths = sorted(SOURCES) + [f"src/m{n}.py" for n in range(40)]
    first = read_profile(tmp_path, paths)
    for seed in range(3):
        shuffled = random.Random(seed).sample(paths, len(paths))
        assert read_profile(tmp_path, shuffled) == first
    # A few more of the same changes the counts and not the prompt.
    repository(tmp_path, {"src/more.py": CODE})
    more = read_profile(tmp_path, [*paths, "src/more.py"])
    assert render(more, "python") == render(first, "python")


def test_a_prompt_is_never_longer_than_its_limit(tmp_path: Path) -> None:
    user = "\n".join(f"Rule {n} of many is here." for n in range(60))
    bullets = "".join(f"- Errors of the kind {n} are {'never ' * 15}raised.\n" for n in range(20))
    files = SOURCES | {".inkling/style.md": user, "AGENTS.md": f"# Style\n\n{bullets}"}
    profile = profile_of(tmp_path, files)
    text = render(profile, "python")
    assert MAX_CHARS - 140 < len(text) <= MAX_CHARS
    assert any(
        problem.startswith(".inkling/style.md: only its first ") and "make it shorter" in problem
        for problem in profile.problems
    )


GARBAGE = {
    "pyproject.toml": "[tool.ruff\n",
    "ruff.toml": "format = 3\nline-length = 'x'\n",
    "setup.cfg": "no section\n",
    ".flake8": "[flake8]\nmax-line-length = long\n",
    ".editorconfig": "[*]\n= what\nindent_size = 4\nindent_style = space\n",
    ".prettierrc": "{a: [\n",
    "package.json": "[1, 2]",
    ".eslintrc.json": "{'x'}",
    "biome.json": '{"formatter": []}',
    ".pre-commit-config.yaml": "repos: [3, {hooks: x}]\n",
    "rustfmt.toml": "max_width = true\n",
    ".clang-format": "IndentWidth: [1]\n",
    ".rubocop.yml": "Layout/LineLength: 120\n",
}


def test_garbage_is_named_and_nothing_is_lost(tmp_path: Path) -> None:
    code = {"a.py": CODE, "a.js": "x;\n", "a.rs": "fn f() {}\n", "a.c": "int a;\n", "a.rb": "a\n"}
    profile = profile_of(tmp_path, code | GARBAGE)
    named = {problem.partition(":")[0] for problem in profile.problems}
    assert named == set(GARBAGE) - {".pre-commit-config.yaml"}
    assert "ruff.toml: line-length is not a whole number; it is ignored." in profile.problems
    assert held(profile)[Kind.INDENT] == "4 spaces"


@pytest.mark.parametrize("name", [*GARBAGE, "AGENTS.md", ".inkling/style.md"])
def test_bytes_that_are_no_text_are_named(tmp_path: Path, name: str) -> None:
    repository(
        tmp_path, {"a.py": CODE, "a.js": "x;\n", "a.rs": "", "a.c": "", "a.rb": "", name: ""}
    )
    (tmp_path / name).write_bytes(b"\xff\xfe\x00a")
    profile = read_profile(tmp_path, ["a.py", "a.js", "a.rs", "a.c", "a.rb"])
    assert any(problem.startswith(f"{name}: not ") for problem in profile.problems)
    assert held(profile)[Kind.INDENT] == "4 spaces"


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(sorted(GARBAGE)), st.text(max_size=60))
def test_no_configuration_raises(
    tmp_path_factory: pytest.TempPathFactory, name: str, text: str
) -> None:
    root = tmp_path_factory.mktemp("repository")
    (root / name).write_text(text.encode("utf-8", "replace").decode(), encoding="utf-8")
    read_profile(root, ["a.py", "a.js", "a.rs", "a.c", "a.rb"])


def test_the_command_prints_the_table_and_the_prompt(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repository(tmp_path, SOURCES | {"setup.cfg": "no section\n"})
    assert show_style(tmp_path) == 0
    shown = capsys.readouterr()
    assert "  line length     100         pyproject.toml, tool.ruff.line-length\n" in shown.out
    assert "  │ Lines up to 100 characters.\n" in shown.out
    assert shown.err.startswith("inkling: setup.cfg: not valid INI (")


def test_an_empty_folder_and_none_at_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert show_style(tmp_path) == 0
    assert capsys.readouterr().out.startswith("No rules: too little code")
    with pytest.raises(NoFolder, match="nowhere is no folder"):
        show_style(tmp_path / "nowhere")
