"""Where a block ends. `├` begins the completion, `┤` is where it must end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkling.context.scope import block_end


def check(picture: str) -> None:
    line_before, rest = picture.split("├")
    line_before = line_before[line_before.rfind("\n") + 1 :]
    text = rest.replace("┤", "")
    assert block_end(line_before, text, is_whole=True) == rest.index("┤")


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
