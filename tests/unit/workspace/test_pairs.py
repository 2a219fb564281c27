"""Which test belongs to which file: a table."""

import pytest

from inkling.workspace.pairs import nearest, pair_stems, stem_of

# A source file and its test, in whatever folders.
PAIRS = """
    shop/order.py                       tests/test_order.py
    shop/order.py                       tests/unit/shop/test_order.py
    shop/order.py                       shop/order_test.py
    src/shop/order.py                   tests/shop/test_order.py
    src/order.ts                        src/order.test.ts
    src/order.tsx                       src/order.spec.tsx
    src/order.js                        src/__tests__/order.js
    src/order.ts                        src/__tests__/order.test.ts
    src/order-list.ts                   test/order-list.spec.ts
    shop/order.go                       shop/order_test.go
    src/main/java/shop/Order.java       src/test/java/shop/OrderTest.java
    src/main/java/shop/Order.java       src/test/java/shop/OrderTests.java
    src/main/java/shop/Order.java       src/test/java/shop/OrderIT.java
    app/models/order.rb                 spec/models/order_spec.rb
    lib/order.rb                        test/test_order.rb
    app/models/order.rb                 test/models/order_test.rb
    Shop/Order.cs                       Shop.Tests/OrderTests.cs
    src/Order.php                       tests/OrderTest.php
    src/order.rs                        tests/order.rs
    src/order.cc                        src/order_unittest.cc
    src/order.c                         tests/test_order.c
"""


@pytest.mark.parametrize("pair", PAIRS.strip().splitlines())
def test_a_file_and_its_test_find_each_other(pair: str) -> None:
    source, test = pair.split()
    assert stem_of(test) in pair_stems(source)
    assert stem_of(source) in pair_stems(test)
    assert nearest(source, [source, test]) == test
    assert nearest(test, [source, test]) == source


@pytest.mark.parametrize(
    ("path", "candidates", "expected"),
    [
        # the module of the same folder, wherever tests lie
        ("src/cart/order.py", "tests/shop/test_order.py tests/cart/test_order.py", "tests/cart/test_order.py"),
        ("a/src/util.ts", "b/src/util.test.ts a/src/util.test.ts", "a/src/util.test.ts"),
        ("tests/cart/test_order.py", "src/shop/order.py src/cart/order.py", "src/cart/order.py"),
        # a test's counterpart is no other test
        ("tests/test_order.py", "tests/order.py", None),
        ("latest.py", "test.py", None),
        ("order.py", "order.py", None),
    ],
)  # fmt: skip
def test_the_nearest_is_taken(path: str, candidates: str, expected: str | None) -> None:
    assert nearest(path, candidates.split()) == expected


@pytest.mark.parametrize(
    "name", ["latest.py", "contest.ts", "Latest.java", "testing.py", "spec.rb"]
)
def test_a_name_with_test_in_it_is_no_test(name: str) -> None:
    assert len(pair_stems(f"src/{name}")) > 1


def test_a_package_file_has_no_test() -> None:
    assert pair_stems("shop/__init__.py") == pair_stems("tests/__init__.py") == ()
