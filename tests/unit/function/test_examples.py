"""Which functions are examples for a described one: a real workspace with a real index."""

from inkling.core import DocumentSnapshot
from inkling.function.examples import MAX_LINES, similar_functions
from inkling.workspace.workspace import Workspace
from tests.unit.function.conftest import Indexed

SHOP = r"""
    shop/order.py: def orderTotal(order):\n    '''Sum of all prices.'''\n    return 1\n
    shop/deep/far.py: def order_total(order):\n    '''Sum of all prices.'''\n    return 2\n
    shop/mail.py: def send_mail(order, address):\n    return address\n
    shop/use.py: class Basket:\n    def weight(self):\n        return 3\n
    tests/test_total.py: def test_order_total_price():\n    pass\n
    web/order.ts: export function orderTotal(order: Order) { return 4; }\n
"""


def found(workspace: Workspace, description: str, path: str = "shop/new.py") -> list[str]:
    document = DocumentSnapshot((workspace.root / path).as_uri(), path, "python", "", 0)
    return [it.path for it in similar_functions(description, document, workspace, 4000)]


def test_the_nearest_of_those_that_share_the_rarest_words_come_first(indexed: Indexed) -> None:
    workspace = indexed(SHOP)
    expected = ["shop/order.py", "shop/deep/far.py"]
    assert found(workspace, "Total price of the orders") == expected
    assert found(workspace, "Total price of the orders", "shop/deep/new.py") == expected[::-1]
    assert found(workspace, "sends_mails to a customer") == ["shop/mail.py"]
    assert found(workspace, "Basket.weights") == ["shop/use.py"]
    assert found(workspace, "quaternion") == []


def test_tests_are_examples_for_tests_only(indexed: Indexed) -> None:
    workspace = indexed(SHOP)
    assert "tests/test_total.py" not in found(workspace, "test order total price")
    assert found(workspace, "test order total price", "tests/test_new.py")[0] == (
        "tests/test_total.py"
    )


def test_an_example_is_the_whole_source_as_it_is_now(indexed: Indexed) -> None:
    workspace = indexed(SHOP)
    file = workspace.root / "shop/mail.py"
    body = "    address = address.strip()\n" * 3 + "    return address\n"
    file.write_text("import re\n\n\ndef send_mail(order, address):\n" + body)
    document = DocumentSnapshot((workspace.root / "a.py").as_uri(), "a.py", "python", "", 0)
    (chunk,) = similar_functions("send mail", document, workspace, 4000)
    assert chunk.text == f"def send_mail(order, address):\n{body}".rstrip("\n")
    assert similar_functions("send mail", document, workspace, 20) == ()
    file.write_text("def send_mail(order, address):\n" + body * MAX_LINES)
    assert similar_functions("send mail", document, workspace, 40_000) == ()
    file.unlink()
    assert similar_functions("send mail", document, workspace, 4000) == ()
