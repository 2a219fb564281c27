"""What the index keeps of a file."""

import textwrap

import pytest

from inkling.workspace.doc_lines import MAX_LEN
from inkling.workspace.extract import MAX_SIGNATURE, extract


def docs(language: str, text: str) -> dict[str, str]:
    found = extract("a", language, textwrap.dedent(text).strip("\n"))
    return {symbol.name: symbol.doc for symbol in found.symbols}


@pytest.mark.parametrize(
    ("language", "text", "doc"),
    [
        ("python", 'def f():\n    """Add things. And more."""\n', "Add things."),
        ("python", "def f():\n    '''Add\n    things.\n\n    More.\n    '''\n", "Add things."),
        ("python", 'def f():\n    """\n    Add things\n\n    More.\n    """\n', "Add things"),
        ("python", 'def f(\n    a,\n):\n    r"Add \\d."\n    return a\n', "Add \\d."),
        ("python", 'class f:\n\n    """A thing."""\n\n    x = 1\n', "A thing."),
        ("python", "# Adds v1.5 things.\n@cache\ndef f():\n    return 1\n", "Adds v1.5 things."),
        ("python", 'def f():\n    x = "not said"\n', ""),
        ("python", "# Not about it.\n\ndef f():\n    return 1\n", ""),
        ("python", "# -------\ndef f():\n    return 1\n", ""),
        ("python", "f = 1  # said beside it\n", ""),
        (
            "javascript",
            "/**\n * Adds things.\n * @param a\n */\nfunction f(a) {}\n",
            "Adds things.",
        ),
        ("javascript", "/** Adds things. */\nfunction f(a) {}\n", "Adds things."),
        ("typescript", "// Adds\n// things\nexport function f(a: number) {}\n", "Adds things"),
        ("go", "package a\n\n// f adds. Always.\nfunc f() {}\n", "f adds."),
        ("rust", "/// Adds.\n#[inline]\nfn f() {}\n", "Adds."),
        (
            "java",
            "class A {\n  /**\n   * Adds.\n   * <p>More.\n   */\n  @Override\n  void f() {}\n}\n",
            "Adds.",
        ),
        ("csharp", "/// <summary>\n/// Adds.\n/// </summary>\n[Fact]\nclass f {}\n", "Adds."),
        ("ruby", "# Adds.\ndef f\n  1\nend\n", "Adds."),
        ("c", "/* Adds. */\nint f(void) { return 1; }\n", "Adds."),
        ("c", '#include "a.h"\nint f(void) { return 1; }\n', ""),
        ("php", "<?php\n/** Adds. */\n#[Pure]\nfunction f() {}\n", "Adds."),
        ("shellscript", "#!/bin/sh\n\n# Adds.\nf() { echo 1; }\n", "Adds."),
    ],
)
def test_the_first_sentence_about_a_definition(language: str, text: str, doc: str) -> None:
    assert docs(language, text)["f"] == doc


def test_a_long_sentence_is_cut() -> None:
    doc = docs("python", f'def f():\n    """{"word " * 100}"""\n')["f"]
    assert len(doc) <= MAX_LEN
    assert doc.endswith("word…")


def test_symbols_have_place_and_signature() -> None:
    text = "class Order:\n    def add(self, item: Item) -> None:\n        pass\n"
    order, add = extract("shop/order.py", "python", text).symbols
    assert (order.name, order.kind, order.first_line, order.last_line) == ("Order", "class", 0, 2)
    assert (add.path, add.signature) == (
        "shop/order.py",
        "    def add(self, item: Item) -> None:",
    )


def test_a_qualified_name_is_found_by_its_last_part() -> None:
    text = "void shop::Order::add(int item) { total += item; }\n"
    (add,) = extract("a.cpp", "cpp", text).symbols
    assert add.name == "add"
    assert "shop::Order::add" in add.signature


def test_a_long_signature_is_cut() -> None:
    text = f"def f({', '.join(f'argument_{n}' for n in range(200))}):\n    pass\n"
    (symbol,) = extract("a.py", "python", text).symbols
    assert len(symbol.signature) == MAX_SIGNATURE


def test_names_are_words_that_could_be_identifiers() -> None:
    found = extract("a.js", "javascript", "const $el = find_all(x, 'the text'); // été")
    assert found.names == {"const", "$el", "find_all", "the", "text"}
