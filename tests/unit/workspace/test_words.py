"""By which words functions are found."""

from inkling.workspace.words import words_of, words_of_function


def test_names_are_taken_apart() -> None:
    assert words_of("HTTPServer parseJSON2 order_items of the classes' address") == (
        *("http", "server", "parse", "json", "order", "item", "classe", "address"),
    )


def test_a_function_speaks_by_its_name_signature_and_documentation() -> None:
    assert words_of_function("orderTotal", "def orderTotal(items):", "Sums prices.") == {
        "order": True,
        "total": True,
        "item": False,
        "sum": False,
        "price": False,
    }
