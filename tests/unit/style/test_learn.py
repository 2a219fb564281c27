"""What is learnt from code alone, each time from a picture of a small repository."""

from pathlib import Path

import pytest

from inkling.style.learn import learn
from inkling.style.learn_names import form_of
from inkling.style.render import sentence
from inkling.style.rules import Kind
from inkling.style.sample import MAX_FILES, own_code, read_sample
from tests.unit.style.pictures import MANY, held, profile_of, repeated, repository

DEFINITION = 'def read_line_{n}(path):\n    """Read it."""\n    return open(path, "r")\n\n\n'


def learnt(root: Path, files: dict[str, str], family: str = "python") -> dict[Kind, str]:
    repository(root, files)
    rules = [rule for rule in learn(read_sample(root, files)) if rule.family == family]
    assert all(sentence(rule).endswith(".") for rule in rules)
    return {rule.kind: rule.value for rule in rules}


def test_indent_and_quotes_are_those_of_the_code(tmp_path: Path) -> None:
    rules = learnt(tmp_path, {"a.py": repeated(DEFINITION)})
    assert rules[Kind.INDENT] == "4 spaces"
    assert rules[Kind.QUOTES] == "double"
    tabs = repeated(DEFINITION).replace("    ", "\t").replace('"r"', "'r'")
    rules = learnt(tmp_path, {"a.py": tabs})
    assert rules[Kind.INDENT] == "tabs"
    assert rules[Kind.QUOTES] == "single"


def test_mixed_or_little_evidence_is_no_rule(tmp_path: Path) -> None:
    mixed = repeated("a{n} = 'x'\nb{n} = \"y\"\n")
    assert Kind.QUOTES not in learnt(tmp_path, {"a.py": mixed})
    little = repeated("a{n} = 'x'\n", 19)
    assert Kind.QUOTES not in learnt(tmp_path, {"a.py": little})
    assert learnt(tmp_path, {"a.py": repeated("a{n} = 'x'\n", 20)})[Kind.QUOTES] == "single"


def test_a_string_that_needs_its_quotes_says_nothing(tmp_path: Path) -> None:
    needed = repeated("a{n} = \"it's\"\nb{n} = '''x'''\n") + repeated("c{n} = 'x'\n", 20)
    assert learnt(tmp_path, {"a.py": needed})[Kind.QUOTES] == "single"


@pytest.mark.parametrize("limit", [79, 80, 88, 100, 120])
def test_a_line_limit_is_where_lengths_end_as_if_cut_off(tmp_path: Path, limit: int) -> None:
    lines = [f"x = {'a' * (length - 4)}" for length in range(40, limit + 1)] * 3
    comment = f"# {'word ' * 60}"
    rules = learnt(tmp_path, {"a.py": "\n".join([*lines, comment, f'y = "{"long " * 60}"'])})
    assert rules[Kind.LINE_LENGTH] == str(limit)


def test_lengths_that_fade_out_show_no_limit(tmp_path: Path) -> None:
    lines = [f"x = {'a' * (length - 4)}" for length in range(40, 300)] * 3
    assert Kind.LINE_LENGTH not in learnt(tmp_path, {"a.py": "\n".join(lines)})


@pytest.mark.parametrize(
    ("name", "form"),
    [
        *(("read_line", "snake_case"), ("readLine", "camelCase"), ("ReadLine", "PascalCase")),
        *(("READ_LINE", "UPPER_CASE"), ("_read_line", "snake_case"), ("read", "")),
        *(("Order", "PascalCase"), ("LIMIT", "UPPER_CASE"), ("X", ""), ("_", ""), ("__init__", "")),
        ("empty_set?", "snake_case"),
    ],
)
def test_the_form_of_a_name(name: str, form: str) -> None:
    assert form_of(name) == form


def test_names_are_learnt_kind_by_kind(tmp_path: Path) -> None:
    python = repeated(f"{DEFINITION}class ReadAll{{n}}:\n    pass\n\n\nMAX_SIZE_{{n}} = 1\n")
    rules = learnt(tmp_path, {"a.py": python})
    assert rules[Kind.FUNCTION_NAMES] == "snake_case"
    assert rules[Kind.CLASS_NAMES] == "PascalCase"
    assert rules[Kind.CONSTANT_NAMES] == "UPPER_CASE"
    script = repeated("export function readLine{n}(path) {\n  return path;\n}\n")
    rules = learnt(tmp_path, {"a.js": script}, "javascript")
    assert rules[Kind.FUNCTION_NAMES] == "camelCase"


@pytest.mark.parametrize(
    ("form", "docstring"),
    [
        ("google", "Read.\n\n    Args:\n        path: Where.\n    "),
        ("numpy", "Read.\n\n    Parameters\n    ----------\n    path : str\n    "),
        ("sphinx", "Read.\n\n    :param path: Where.\n    "),
        ("one line", "Read it."),
    ],
)
def test_the_form_of_docstrings(tmp_path: Path, form: str, docstring: str) -> None:
    text = repeated(f'def read_{{n}}(path):\n    """{docstring}"""\n\n\n')
    rules = learnt(tmp_path, {"a.py": text})
    assert rules[Kind.DOCSTRINGS] == form
    assert rules[Kind.DOCSTRING_QUOTES] == '"""'


def test_code_without_docstrings_has_that_for_a_rule(tmp_path: Path) -> None:
    rules = learnt(tmp_path, {"a.py": repeated("def read_{n}(path):\n    return path\n\n\n")})
    assert rules[Kind.DOCSTRINGS] == "none"


def test_doc_comments_of_other_languages(tmp_path: Path) -> None:
    script = repeated("/**\n * Reads.\n */\nfunction readLine{n}(path) {\n  return path;\n}\n")
    assert learnt(tmp_path, {"a.js": script}, "javascript")[Kind.DOCSTRINGS] == "/** … */"
    rust = repeated("/// Reads.\nfn read_line_{n}() {\n    return;\n}\n")
    assert learnt(tmp_path, {"a.rs": rust}, "rust")[Kind.DOCSTRINGS] == "///"


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("def read_{n}(self, path: str, *args, size: int = 1) -> str:", "full"),
        ("def read_{n}(path, size=1):", "none"),
        ("def read_{n}(path: str, size=1):", None),
    ],
)
def test_type_hints(tmp_path: Path, header: str, value: str | None) -> None:
    text = repeated(f"{header}\n    return path\n\n\n")
    assert learnt(tmp_path, {"a.py": text}).get(Kind.TYPE_HINTS) == value


def test_import_habits(tmp_path: Path) -> None:
    text = (
        "import os\n\nimport yaml\n\nfrom shop.prices import price\nfrom shop.items import item\n"
    )
    files = {f"shop/m{n}.py": text for n in range(MANY)}
    rules = learnt(tmp_path, files)
    assert rules[Kind.IMPORT_PATHS] == "absolute"
    assert rules[Kind.IMPORT_ORDER] == "grouped"
    assert Kind.IMPORT_FORM not in rules
    files = {f"shop/m{n}.py": "from .prices import price\n" for n in range(MANY)}
    rules = learnt(tmp_path, files)
    assert rules[Kind.IMPORT_PATHS] == "relative"
    assert rules[Kind.IMPORT_FORM] == "names"


def test_error_and_logging_idioms(tmp_path: Path) -> None:
    text = (
        "log = logging.getLogger(__name__)\n\n\nclass ShopError{n}(Exception):\n    pass\n\n\n"
        "class PriceError(ValueError):\n    pass\n\n\n"
        + "try:\n    f()\nexcept OSError as error:\n    raise PriceError(1) from error\n"
        * 5
    )
    rules = learnt(tmp_path, {f"m{n}.py": text.replace("{n}", "") for n in range(8)})
    assert rules[Kind.ERROR_NAMES] == "…Error"
    assert rules[Kind.RAISING] == "from"
    assert rules[Kind.LOGGING] == "log = logging.getLogger(__name__)"


@pytest.mark.parametrize(
    ("text", "form", "name"),
    [
        (
            "def test_an_empty_file_is_read_{n}():\n    pass\n\n\n",
            "pytest functions",
            "test_<sentence>",
        ),
        (
            "class TestRead{n}:\n    def test_read(self):\n        pass\n\n\n",
            "pytest classes",
            "test_<subject>",
        ),
        (
            "class ReadTest{n}(unittest.TestCase):\n    def testRead(self):\n        pass\n\n\n",
            "unittest classes",
            "testSomething",
        ),
    ],
)
def test_tests_of_python(tmp_path: Path, text: str, form: str, name: str) -> None:
    rules = learnt(tmp_path, {"tests/test_read.py": repeated(text)})
    assert (rules[Kind.TESTS], rules[Kind.TEST_NAMES]) == (form, name)


def test_javascript(tmp_path: Path) -> None:
    code = repeated("import { a{n} } from './a'\nexport const b{n} = {\n  c: 'x',\n  d: [1],\n}\n")
    tests = "import { it } from 'vitest'\n\n" + repeated("it('reads', () => {\n  f()\n})\n", 8)
    files = {"a.ts": code, **{f"a{n}.test.ts": tests for n in range(3)}}
    rules = learnt(tmp_path, files, "javascript")
    assert rules == {
        Kind.INDENT: "2 spaces",
        Kind.QUOTES: "single",
        Kind.SEMICOLONS: "never",
        Kind.TRAILING_COMMAS: "always",
        Kind.IMPORT_FORM: "import",
        Kind.TESTS: "vitest",
        Kind.TEST_NAMES: "it(…)",
    }


def test_jsx_attributes_do_not_speak_for_the_code(tmp_path: Path) -> None:
    text = repeated('const a{n} = <p id="a" class="b">{t(\'x\')}</p>;\n')
    assert learnt(tmp_path, {"a.tsx": text}, "javascript")[Kind.QUOTES] == "single"


@pytest.mark.parametrize(
    ("name", "text", "family", "indent"),
    [
        ("a.rb", "def read_line_{n}\n  f\nend\n", "ruby", "2 spaces"),
        ("a.sh", "if true; then\n  echo {n}\nfi\n", "bash", "2 spaces"),
        ("a.go", "func readLine{n}() {\n\treturn\n}\n", "go", "tabs"),
        ("A.java", "class ReadLine{n} {\n    int a;\n}\n", "java", "4 spaces"),
    ],
)
def test_indent_of_other_languages(
    tmp_path: Path, name: str, text: str, family: str, indent: str
) -> None:
    assert learnt(tmp_path, {name: repeated(text)}, family)[Kind.INDENT] == indent


def test_what_is_not_the_teams_own_code_is_passed_over(tmp_path: Path) -> None:
    own = ("src/a.py", "tests/test_a.py", "web/app.ts")
    foreign = (
        *("node_modules/x/a.js", "third_party/a.py", "a_pb2.py", "app.min.js", "types.d.ts"),
        *("tests/data/odd.py", "tests/unit/samples/odd.py", "notes.txt", "secrets.py/../.env"),
    )
    assert own_code([*own, *foreign]) == sorted(own)
    repository(tmp_path, {"a.py": "# @generated by a tool\nx = 1\n", "b.py": "x = 1\n"})
    assert [source.path for source in read_sample(tmp_path, ["a.py", "b.py"])] == ["b.py"]


def test_a_sample_is_bounded_and_the_same_whatever_the_order(tmp_path: Path) -> None:
    files = {f"src/m{n}.py": "x = 1\n" for n in range(260)}
    files |= {f"tests/test_{n}.py": "x = 1\n" for n in range(260)}
    files |= {f"web/m{n}.js": "x = 1\n" for n in range(6)}
    repository(tmp_path, files)
    sample = read_sample(tmp_path, files)
    assert len(sample) <= MAX_FILES + 12
    assert sum(source.family == "javascript" for source in sample) == 6
    assert sum(source.is_test for source in sample) < 80
    again = read_sample(tmp_path, reversed(list(files)))
    assert [source.path for source in again] == [source.path for source in sample]
    # One more file takes at most one place.
    repository(tmp_path, {"src/new.py": "x = 1\n"})
    more = read_sample(tmp_path, [*files, "src/new.py"])
    assert len({source.path for source in sample} - {source.path for source in more}) <= 1


def test_a_rule_says_what_was_counted(tmp_path: Path) -> None:
    profile = profile_of(tmp_path, {"a.py": repeated("a{n} = 'x'\n"), "b.py": 'b = "y"\n'})
    (rule,) = (rule for rule in profile.rules if rule.kind is Kind.QUOTES)
    assert rule.source == "learnt from 24 of 25 strings in 2 files"
    assert held(profile) == {Kind.QUOTES: "single"}


def test_broken_code_is_learnt_from_as_far_as_it_goes(tmp_path: Path) -> None:
    rules = learnt(tmp_path, {"a.py": repeated(DEFINITION) + "def (:\n  '''"})
    assert rules[Kind.INDENT] == "4 spaces"
