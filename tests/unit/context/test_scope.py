"""Where a block ends. `├` begins the completion, `┤` is where it must end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkling.context.languages import block_rules
from inkling.context.scope import block_end


def check(picture: str, language: str = "python") -> None:
    line_before, rest = picture.split("├")
    line_before = line_before[line_before.rfind("\n") + 1 :]
    text = rest.replace("┤", "")
    end = block_end(line_before, text, is_whole=True, rules=block_rules(language))
    assert end == rest.index("┤")


@pytest.mark.parametrize(
    "picture",
    [
        "def f(a):├\n    return a┤\n\ndef g(): pass\n",
        "def f(a):├\n    if a:\n        return 1\n\n    return 2┤\n\n\nx = 1\n",
        "    ├return a\n    b = 1┤\n\nx = 1\n",
        "├def f():\n    return 1┤\n\n\ndef g():\n    pass\n",
        "if (a) {├\n  b();\n} else {\n  c();\n}┤\nfoo();\n",
        "if a:├\n    b()\nelse:\n    c()┤\nd()\n",
        "x = foo(├\n    a,\n)┤\ny = 1\n",
        "    return ├a┤\nb = 1\n",
        "  load() {├\n    return 1;\n  }┤\n\n  save() {\n  }\n",
        "class A:├\n    x = 1┤",
        'def f():├\n    sql = """\nSELECT 1\n"""\n    return sql┤\n\nx = 1\n',
        "function f() {├\n  return `\n text\nmore`;\n}┤\n\ng();\n",
        "├@cache\ndef f():\n    return 1┤\n\n\nx = 1\n",
        "├# about f\ndef f():\n    return 1┤\nx = 1\n",
        "├/**\n * Doc.\n */\nexport function f() {\n  g();\n}┤\n\nh();\n",
        "├import os\nimport re┤\n\nx = 1\n",
        "if x:├\n    a()\n\nelse:\n    b()┤\nc()\n",
        "function f()├\n{\n  return 1;\n}┤\ng();\n",
    ],
)
def test_pictures(picture: str) -> None:
    check(picture)


@pytest.mark.parametrize(
    ("language", "picture"),
    [
        ("go", "func f(a int) int {├\n\treturn a\n}┤\n\nfunc g() {}\n"),
        ("go", "\tswitch a {├\n\tcase 1:\n\t\tf()\n\n\tdefault:\n\t\tg()\n\t}┤\n\th()\n"),
        ("go", "\tif a {├\n\t\tf()\n\t} else if b {\n\t\tg()\n\t}┤\n\th()\n"),
        ("go", '├import (\n\t"fmt"\n)┤\n\nfunc f() {}\n'),
        ("rust", "fn f<T>(a: T)├\nwhere\n    T: Copy,\n{\n    a;\n}┤\nfn g() {}\n"),
        ("rust", "    match a {├\n        _ => 1,\n    }┤\n    f();\n"),
        ("rust", "├#[test]\nfn f() {\n    a();\n}┤\n\nfn g() {}\n"),
        ("java", "    void f() {├\n        a();\n    }┤\n\n    void g() {}\n"),
        ("java", "  try {├\n    a();\n  } catch (E e) {\n    b();\n  } finally {\n  }┤\n  c();\n"),
        ("java", "    switch (a) {├\n    case 1:\n        f();\n    default:\n    }┤\n    g();\n"),
        ("c", "int f(int a)├\n{\n    return a;\n}┤\n\nint g(void);\n"),
        ("c", "    if (a)├\n    {\n        f();\n    }\n    else\n    {\n    }┤\n    g();\n"),
        ("c", "    if (a)├\n        f();┤\n    g();\n"),
        ("c", "├#include <a.h>\n#include <b.h>┤\n\nint f(void);\n"),
        ("cpp", "class A {├\npublic:\n    A();\n\nprivate:\n    int a;\n};┤\nint b;\n"),
        ("cpp", "├// About f.\ntemplate <class T>\nvoid f() {\n    a();\n}┤\n\nint b;\n"),
        ("csharp", "    void F()├\n    {\n        A();\n    }┤\n\n    void G() {}\n"),
        (
            "csharp",
            "    if (a)├\n    {\n        D();\n    }\n    else\n    {\n        B();\n    }┤\n    C();\n",
        ),
        ("ruby", "def f(a)├\n  a\nend┤\n\ndef g\nend\n"),
        ("ruby", "  if a├\n    f\n  elsif b\n    g\n  else\n    h\n  end┤\n  i\n"),
        ("ruby", "  case a├\n  when 1\n    f\n  when 2\n    g\n  end┤\n  h\n"),
        ("ruby", "  def f├\n    a\n  rescue E\n    b\n  ensure\n    c\n  end┤\n\n  def g\n"),
        ("ruby", "  items.each do |item|├\n    f(item)\n  end┤\n  endpoint = 1\n"),
        ("ruby", "  ├a = 1\n  b = 2┤\nend\n"),
        ("ruby", "def f├\n  a = <<~SQL\nSELECT 1\nSQL\n  g(a)\nend┤\nh\n"),
        ("php", "function f(): int├\n{\n    return 1;\n}┤\n\nfunction g() {}\n"),
        ("php", "if ($a):├\n    f();\nelseif ($b):\n    g();\nendif;┤\nh();\n"),
        ("php", "    switch ($a) {├\n    case 1:\n        f();\n    }┤\n    g();\n"),
        ("php", "function f() {├\n    $a = <<<EOT\ntext\nEOT;\n    g($a);\n}┤\nh();\n"),
        ("shellscript", "if a; then├\n  b\nelif c; then\n  d\nelse\n  e\nfi┤\nf\n"),
        ("shellscript", "if a├\nthen\n  b\nfi┤\nc\n"),
        ("shellscript", "while read -r a; do├\n  b\ndone < file┤\nc\n"),
        ("shellscript", "  case $a in├\n    x) b ;;\n  esac┤\n  c\n"),
        ("shellscript", "usage() {├\n  cat <<EOF\nusage: a\nEOF\n}┤\nb\n"),
        ("shellscript", "f() {├\n  a <<< EOF\n}┤\nb\n"),
        ("python", "for a in b:├\n    c()┤\nend = 1\n"),
        ("zig", "fn f() void {├\n    a();\n}┤\nb();\n"),
    ],
)
def test_pictures_of_a_language(language: str, picture: str) -> None:
    check(picture, language)


def test_undecided_while_the_last_line_may_still_be_deeper() -> None:
    assert block_end("def f():", "\n    return 1\n") is None
    assert block_end("def f():", "\n    return 1\n  ") is None


@given(st.text(alphabet="a :{}()\n\t`@#", max_size=60), st.text(alphabet="a (:{", max_size=8))
def test_an_end_found_early_is_the_end_found_late(text: str, line_before: str) -> None:
    """Decoding stops at the first decided end, so more text must not move it."""
    late = block_end(line_before, text, is_whole=True)
    assert late is not None
    for length in range(len(text)):
        early = block_end(line_before, text[:length])
        if early is not None:
            assert early == late
            break


WORDS = ("end", "else", "endforeach", "protected", "protect", "when", "then", "fi", "<<EOF", "EOF")


@given(
    st.sampled_from(["cpp", "csharp", "go", "php", "ruby", "rust", "shellscript"]),
    st.lists(st.sampled_from([*WORDS, "\n", "\n", "  ", " ", "{", "}", "a", ";"]), max_size=16),
)
def test_an_end_found_early_is_the_end_found_late_in_every_language(
    language: str, parts: list[str]
) -> None:
    text, rules = "".join(parts), block_rules(language)
    late = block_end("f", text, is_whole=True, rules=rules)
    early = (block_end("f", text[:length], rules=rules) for length in range(len(text)))
    assert next((end for end in early if end is not None), late) == late
