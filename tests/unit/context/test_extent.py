"""A line or a block? Each picture is one rule of `extent_at`."""

import pytest

from inkling.context.syntax import extent_at, parse
from inkling.core import Extent
from tests.pictures import at_cursor


def extent(picture: str, language: str) -> Extent:
    text, offset = at_cursor(picture)
    return extent_at(parse(language, text), text, offset)


@pytest.mark.parametrize(
    "picture",
    [
        "def total(xs):‸\n",
        "def total(xs):\n    ‸\n",
        "def tot‸",
        "# the sum of a list\n‸\n",
        "class A:\n    def a(self):\n        return 1\n\n    ‸\n\n    def b(self):\n        pass\n",
        "    items = [‸\n",
        "def total(\n    xs,\n) -> int:‸\n",
        "    if (\n        ready\n        and willing\n    ):‸\n",
        "def total(xs,\n          ys=(1, 2)):‸\n",
        "with open(\n    '(',\n) as file:‸\n",
        'def total(\n    a="):",\n    b=1,  # (\n) -> int:‸\n\nx = 1\n',
        "while ready and \\\n        willing:‸\n",
        "def total():\n    if (\n        ready\n    ):‸\n    return 1\n",
        "try:\n    go()\nexcept (\n    A,\n):‸\n",
        "    case (\n        1\n    ):‸\n",  # the tree has an error here
        "if(ready):‸\n",
    ],
)
def test_python_block(picture: str) -> None:
    assert extent(picture, "python") is Extent.BLOCK


@pytest.mark.parametrize(
    "picture",
    [
        "x = ‸\n",
        "print(‸)\n",
        "x = foo(‸) + 1\n",
        "# the su‸\n",
        '"""Doc‸\n"""\n',
        '"""Doc\n\n‸\n\nmore"""\n',
        "if ready:‸\n    go()\n",
        "a = 1\n‸\nb = 2\n",
        "if retu‸rn_value:\n",
        "prices = {\n    (\n        1, 2\n    ):‸\n}\n",
        "x = y[\n    first(1):‸\n",
        "prices = {\n    key:‸\n}\n",
        "def total(\n    xs:‸\n):\n    pass\n",
        "f = lambda:‸\n",
    ],
)
def test_python_line(picture: str) -> None:
    assert extent(picture, "python") is Extent.LINE


@pytest.mark.parametrize(
    "picture",
    [
        'def total(xs):\n    """Add up."""‸\n',
        'def total(xs):\n    """Add up."""  ‸',
        'def total(\n    xs,\n):\n    """Add up.\n\n    Fast."""‸\n\n\ndef other(): ...\n',
        "class A:\n    def a(self):\n        '''Do it.\n        '''‸\n\n    def b(self): ...\n",
        'class A:\n    r"""It."""‸\n',
    ],
)
def test_a_docstring_that_is_all_of_a_body_is_followed_by_the_rest(picture: str) -> None:
    assert extent(picture, "python") is Extent.BLOCK


@pytest.mark.parametrize(
    "picture",
    [
        'def total(xs):\n    """Add up."""‸\n    return sum(xs)\n',
        'def total(xs):\n    """Add up."""‸\n\n\n    # Not yet.\n',
        'def total(xs):\n    xs = []\n    """Add up."""‸\n',
        'def total(xs):\n    """Add up.""‸"\n',
        'def total(xs):\n    """‸\n',
        'def total(xs):\n    """‸\n\n\ndef other(xs):\n    """Doc."""\n',
        'def total(xs):\n    ""‸\n',
        'def total(xs):\n    x = """Add up."""‸\n',
        'def total(xs):\n    return """Add up."""‸\n',
        '"""The module."""‸\n',
        'if ready:\n    """Go."""‸\n',
    ],
)
def test_other_ends_of_strings_finish_the_line(picture: str) -> None:
    assert extent(picture, "python") is Extent.LINE


@pytest.mark.parametrize(
    ("picture", "language", "expected"),
    [
        ("function f() {‸}\n", "javascript", Extent.BLOCK),
        ("const f = (a) => ‸\n", "javascript", Extent.BLOCK),
        ("const a = ‸;\n", "typescript", Extent.LINE),
        ("interface Point ‸\n", "typescript", Extent.BLOCK),
        ("const v = <p>hel‸lo</p>;\n", "typescriptreact", Extent.LINE),
        ("// a commen‸\n", "javascriptreact", Extent.LINE),
        ("switch (a) {‸\n", "javascript", Extent.BLOCK),
        ("function f(\n  a,\n) {‸\n", "javascript", Extent.BLOCK),
        ("function f(\n  a: number,\n): void {‸\n", "typescript", Extent.BLOCK),
        ("const names = {\n  first:‸\n};\n", "javascript", Extent.LINE),
        ("/** The sum. */‸\n", "javascript", Extent.LINE),
    ],
)
def test_ecmascript(picture: str, language: str, expected: Extent) -> None:
    assert extent(picture, language) is expected


@pytest.mark.parametrize(
    ("language", "picture"),
    [
        ("go", "func f() {‸\n"),
        ("go", "func f() {\n\t‸\n}\n"),
        ("go", "func tot‸\n"),
        ("go", "// total adds up.\n‸\nvar a = 1\n"),
        ("rust", "fn f() -> i32 {‸\n"),
        ("rust", "impl Item {\n    ‸\n}\n"),
        ("rust", "pub fn tot‸\n"),
        ("rust", "/// The sum.\n‸\nfn f() {}\n"),
        ("java", "class A {\n    void f() {‸}\n}\n"),
        ("java", "class A {\n    ‸\n}\n"),
        ("java", "class A {\n    public int tot‸\n}\n"),
        ("java", "class A {\n    /**\n     * The sum.\n     */\n    ‸\n    int a;\n}\n"),
        ("c", "int f(void) {‸\n"),
        ("c", "int f(void)\n{\n    ‸\n}\n"),
        ("c", "struct item ‸\n"),
        ("c", "// The sum.\n‸\nint a;\n"),
        ("cpp", "namespace a {‸\n"),
        ("cpp", "class A {\n    ‸\n};\n"),
        ("cpp", "template <typename T‸>\n"),
        ("cpp", "/* The sum.\n */\n‸\nint a;\n"),
        ("csharp", "class A\n{\n    void F() {‸\n}\n"),
        ("csharp", "class A\n{\n    ‸\n}\n"),
        ("csharp", "class A\n{\n    public int Tot‸\n}\n"),
        ("csharp", "class A\n{\n    /// The sum.\n    ‸\n    int a;\n}\n"),
        ("ruby", "def f‸\n"),
        ("ruby", "def f\n  ‸\nend\n"),
        ("ruby", "items.each do‸\n"),
        ("ruby", "items.each do |item|‸\n"),
        ("ruby", "# The sum.\n‸\na = 1\n"),
        ("php", "<?php\nfunction f() {‸\n"),
        ("php", "<?php\nfunction f()\n{\n    ‸\n}\n"),
        ("php", "<?php\nforeach ($a as $b):‸\n"),
        ("php", "<?php\n// The sum.\n‸\n$a = 1;\n"),
        ("shellscript", "f() {‸\n"),
        ("shellscript", "if a; then\n  ‸\nfi\n"),
        ("shellscript", "for a in b; do‸\n"),
        ("shellscript", "if a; then\n‸\nfi\n"),
        ("shellscript", "# The sum.\n‸\na=1\n"),
    ],
)
def test_block(language: str, picture: str) -> None:
    assert extent(picture, language) is Extent.BLOCK


@pytest.mark.parametrize(
    ("language", "picture"),
    [
        ("go", "\ta := ‸\n"),
        ("go", "func f(‸) int {\n\treturn 1\n}\n"),
        ("go", "// if the su‸\n"),
        ("go", 'var a = "if {‸"\n'),
        ("go", "var a = `\nif ‸\n`\n"),
        ("go", "func f() {‸\n\treturn\n}\n"),
        ("rust", "let a = ‸;\n"),
        ("rust", "fn f(a‸: i32) {}\n"),
        ("rust", "/// if the su‸\nfn f() {}\n"),
        ("rust", "/* if ‸ */\n"),
        ("rust", 'const A: &str = "fn {‸";\n'),
        ("java", "int a = ‸;\n"),
        ("java", "class A {\n    void f(‸) throws E {}\n}\n"),
        ("java", "/** if the su‸\n */\n"),
        ("java", 'class A {\n    String a = "if {‸";\n}\n'),
        ("c", "int a = ‸;\n"),
        ("c", "int f(int ‸) {\n}\n"),
        ("c", "/*\n * if ‸\n */\n"),
        ("c", 'char *a = "if {‸";\n'),
        ("c", "a();\n‸\nb();\n"),
        ("cpp", "auto a = ‸;\n"),
        ("cpp", "if (a‸ == b) {\n}\n"),
        ("cpp", "// if the su‸\n"),
        ("cpp", 'auto a = R"(\nif {‸\n)";\n'),
        ("csharp", "var a = ‸;\n"),
        ("csharp", "if (a‸ == b) {\n}\n"),
        ("csharp", "/// if the su‸\n"),
        ("csharp", 'var a = @"if {‸";\n'),
        ("ruby", "a = ‸\n"),
        ("ruby", "def f(a‸, b)\nend\n"),
        ("ruby", "# if the su‸\n"),
        ("ruby", "a = 'do {‸'\n"),
        ("ruby", "a = <<~SQL\n  if {‸\nSQL\n"),
        ("ruby", "undo‸\n"),
        ("php", "<?php\n$a = ‸;\n"),
        ("php", "<?php\nfunction f($a‸, $b) {}\n"),
        ("php", "<?php\n# if the su‸\n"),
        ("php", "<?php\n$a = 'if {‸';\n"),
        ("php", '<?php\n$a = "if {‸";\n'),
        ("shellscript", "a=‸\n"),
        ("shellscript", "echo ‸ | sort\n"),
        ("shellscript", "# if the su‸\n"),
        ("shellscript", "echo 'then {‸'\n"),
        ("shellscript", "cat <<EOF\nif {‸\nEOF\n"),
    ],
)
def test_line(language: str, picture: str) -> None:
    assert extent(picture, language) is Extent.LINE


def test_a_language_without_a_grammar_still_gets_an_answer() -> None:
    assert extent("fn main() {‸\n", "zig") is Extent.BLOCK
    assert extent("let x = ‸;\n", "zig") is Extent.LINE
