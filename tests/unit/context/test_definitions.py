"""What each language's query finds in its sample, and that broken code is no obstacle."""

from dataclasses import replace
from pathlib import Path

import pytest
from tree_sitter import Language

from inkling.context.definitions import definitions, enclosing, imports
from inkling.context.languages import (
    LANGUAGE_OF_EXTENSION,
    LANGUAGES,
    load_grammar,
    load_query,
)
from inkling.context.syntax import SyntaxTree, parse

SAMPLES = Path(__file__).parent / "samples"

# name:kind of each definition, then what is imported.
FOUND = {
    "shop.py": (
        "LIMIT:variable Basket:type Order:class __init__:function add:function total:function",
        "os.path json .prices shop.items",
    ),
    "shop.js": (
        (
            "fs:variable LIMIT:variable total:variable Order:class constructor:method add:method"
            " each:function load:function"
        ),
        "./prices.js node:fs ./items.js ./store.js",
    ),
    "shop.ts": (
        (
            "Priced:interface Basket:type State:enum Order:class add:method shop:module total:function"
            " LIMIT:variable"
        ),
        "./items",
    ),
    "shop.tsx": ("Props:interface OrderView:function Empty:variable", "react ./order"),
    "shop.go": (
        (
            "Limit:constant open:variable closed:variable Item:type Priced:type Price:method"
            " Total:function"
        ),
        "fmt example.com/shop/prices",
    ),
    "shop.rs": (
        (
            "LIMIT:constant NAME:variable Basket:type Item:class State:enum Priced:interface"
            " price:function Item:class price:function total:function item:macro"
        ),
        "std::collections::HashMap prices",
    ),
    "Shop.java": (
        (
            "Order:class LIMIT:variable Order:method total:method Priced:interface price:method"
            " State:enum Item:class"
        ),
        "java.util.List shop.Prices.priceOf",
    ),
    "shop.c": (
        (
            "LIMIT:macro TWICE:macro price_t:type item:class state:enum sum_of:function"
            " first_of:function main:function"
        ),
        "stdio.h prices.h",
    ),
    "shop.cpp": (
        (
            "shop:module Basket:type Order:class Order:function add:method Item:class State:enum"
            " shop::Order::add:function counter:function"
        ),
        "vector prices.hpp",
    ),
    "Shop.cs": (
        (
            "Shop:module Changed:type IPriced:interface Price:method Item:class State:enum Order:class"
            " limit:variable Name:variable Order:method Total:method"
        ),
        "System.Linq Shop.Prices",
    ),
    "shop.rb": (
        (
            "Shop:module LIMIT:constant Order:class initialize:method load:method empty?:method"
            " total:method"
        ),
        "json prices",
    ),
    "shop.php": (
        (
            "LIMIT:constant Priced:interface price:method Named:class Order:class __construct:method"
            " count:method total:function"
        ),
        "Shop\\Prices\\PriceList Countable prices.php",
    ),
    "shop.sh": (
        "LIMIT:variable SHOP:variable total:function usage:function",
        "lib/prices.sh ./items.sh",
    ),
}


def sample(name: str) -> SyntaxTree:
    file = SAMPLES / name
    tree = parse(LANGUAGE_OF_EXTENSION[file.suffix], file.read_text(encoding="utf-8"))
    assert tree is not None
    return tree


@pytest.mark.parametrize("name", FOUND)
def test_a_sample_has_its_definitions_and_imports(name: str) -> None:
    tree = sample(name)
    defined, imported = FOUND[name]
    assert [f"{it.name}:{it.kind}" for it in definitions(tree)] == defined.split()
    assert imports(tree) == tuple(imported.split())


def test_every_language_has_a_sample() -> None:
    sampled = {LANGUAGE_OF_EXTENSION[Path(name).suffix] for name in FOUND}
    assert {LANGUAGES[language].grammar for language in sampled} == {
        syntax.grammar for syntax in LANGUAGES.values()
    }


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_query_fits_its_grammar(language: str) -> None:
    syntax = LANGUAGES[language]
    assert load_query(syntax) is not None
    grammar = load_grammar(syntax.grammar)
    assert isinstance(grammar, Language)
    unknown = {kind for kind in syntax.texts if not grammar.id_for_node_kind(kind, True)}
    assert unknown == set()


@pytest.mark.parametrize(
    ("name", "defined", "signature", "lines"),
    [
        (
            "shop.py",
            "add",
            "    async def add(\n        self,\n        item: Item,\n    ) -> None:",
            5,
        ),
        ("shop.rs", "total", "pub fn total<T>(items: &[T]) -> f64\nwhere\n    T: Priced,", 6),
        ("shop.go", "Price", "func (i *Item) Price() float64", 3),
        ("shop.c", "LIMIT", "#define LIMIT 10", 1),
        ("shop.ts", "Order", "export abstract class Order<T extends Priced>", 7),
        ("shop.js", "total", "export const total = (order) => {", 4),
        ("shop.rb", "load", "    def self.load(path)", 5),
    ],
)
def test_a_signature_is_the_header(name: str, defined: str, signature: str, lines: int) -> None:
    found = next(it for it in definitions(sample(name)) if it.name == defined)
    assert found.signature == signature
    assert found.last_line - found.first_line + 1 == lines


def test_what_encloses_a_line_comes_outermost_first() -> None:
    found = definitions(sample("shop.rb"))
    names = [it.name for it in enclosing(found, 16)]
    assert names == ["Shop", "Order", "load"]
    assert enclosing(found, 4) == ()


def test_broken_code_has_the_definitions_that_can_be_made_out() -> None:
    tree = parse("go", "func f() {\n\ta := g(\n}\n\nfunc g() {\n\treturn\n}\n")
    assert tree is not None
    assert [it.name for it in definitions(tree)] == ["f", "g"]


def test_a_grammar_that_does_not_load_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    for _ in range(3):
        assert load_grammar("tree_sitter_of_no_language") is None
        assert load_grammar("tree_sitter_python.no_function") is None
    assert len(caplog.records) == 2
    assert "completing by text and indentation" in caplog.text


def test_a_query_that_does_not_fit_its_grammar_finds_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    tree = sample("shop.go")
    odd = replace(tree, language=replace(tree.language, query="(no_such_node) @import"))
    assert definitions(odd) == ()
    assert imports(odd) == ()
    assert len(caplog.records) == 1
