"""The index from files to answers: real files, a real database, no processes."""

import os
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from inkling.workspace.database import UNUSED_DAYS, connect_to_write, database_of
from inkling.workspace.index import MAX_DEFINITIONS, WorkspaceIndex
from inkling.workspace.lock import alone
from inkling.workspace.store import IndexStore
from inkling.workspace.updates import update
from tests.unit.workspace.folders import draw


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "cache/index.sqlite"


@pytest.fixture
def index(database: Path) -> Iterator[WorkspaceIndex]:
    with closing(WorkspaceIndex(database)) as index:
        yield index


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = (tmp_path / "work").resolve()
    root.mkdir()
    return root


def build(root: Path, database: Path) -> None:
    with closing(IndexStore(connect_to_write(database))) as store:
        update(store, root)


SHOP = r"""
    shop/order.py: class Order:\n    \"\"\"What is bought.\"\"\"\n\n    def total(self): pass\n
    shop/item.py: def make_item(price): return price\n
    web/order.ts: export function makeOrder(price: number) {}\nexport class Order {}\n
    web/view.ts: import { makeOrder } from "./order";\nconst price = makeOrder(1);\n
    tests/test_order.py: from shop.order import Order\n\ndef test_total(): assert Order().total()\n
""".replace(r"\"", '"')


def test_an_index_that_nobody_uses_any_more_is_deleted(tmp_path: Path) -> None:
    old, held, recent, own = (tmp_path / f"{letter * 24}.sqlite" for letter in "abcd")
    other = tmp_path / "customers.sqlite"
    for file in (old, held, recent, own, other):
        connect_to_write(file).close()
    long_ago = time.time() - (UNUSED_DAYS + 1) * 86_400
    for file in (old, held, own, other):
        os.utime(file, (long_ago, long_ago))
    with alone(held, wait=True):
        connect_to_write(own).close()
    assert [file.exists() for file in (old, held, recent, own, other)] == [False, *[True] * 4]
    assert time.time() - own.stat().st_mtime < 3600


def test_symbols_by_name_and_family(root: Path, database: Path, index: WorkspaceIndex) -> None:
    draw(root, SHOP)
    build(root, database)
    (order,) = index.symbols(["Order"], "python")
    assert (order.path, order.kind, order.signature) == ("shop/order.py", "class", "class Order:")
    assert order.doc == "What is bought."
    found = index.symbols(["makeOrder", "Order", "nothing", "makeOrder"], "javascript")
    assert [(it.name, it.path) for it in found] == [
        ("makeOrder", "web/order.ts"),
        ("Order", "web/order.ts"),
    ]


def test_symbols_of_a_file(root: Path, database: Path, index: WorkspaceIndex) -> None:
    draw(root, SHOP)
    build(root, database)
    assert [it.name for it in index.symbols_in("shop/order.py")] == ["Order", "total"]
    assert index.symbols_in("shop/other.py") == ()


def test_a_name_defined_everywhere_is_passed_over(
    root: Path, database: Path, index: WorkspaceIndex
) -> None:
    for number in range(MAX_DEFINITIONS):
        (root / f"m{number}.py").write_text("def main(): pass\n")
    (root / "main.js").write_text("function main() {}\n")
    build(root, database)
    assert len(index.symbols(["main"], "python")) == MAX_DEFINITIONS
    (root / "one_more.py").write_text("def main(): pass\n")
    build(root, database)
    assert index.symbols(["main"], "python") == ()
    assert len(index.symbols(["main"], "javascript")) == 1


def test_how_many_files_have_a_name(root: Path, database: Path, index: WorkspaceIndex) -> None:
    draw(root, SHOP)
    build(root, database)
    assert index.num_files == 5
    assert index.frequency(["Order", "price", "nothing"]) == {"Order": 3, "price": 3}
    (root / "shop/item.py").unlink()
    build(root, database)
    assert index.num_files == 4
    assert index.frequency(["price", "make_item"]) == {"price": 2}


def test_similar_files_share_rare_names(root: Path, database: Path, index: WorkspaceIndex) -> None:
    draw(
        root,
        r"""
        common.py: first = second = third = 0
        rare.py: first = walrus = 0
        rarest.py: first = walrus = penguin = 0
        other.js: walrus = penguin = 0
        """,
    )
    build(root, database)
    names = ["first", "walrus", "penguin", "unheard"]
    assert index.similar_files(names, "python", 9) == ("rarest.py", "rare.py", "common.py")
    assert index.similar_files(names, "python", 1) == ("rarest.py",)
    assert index.similar_files(names, "javascript", 9) == ("other.js",)
    assert index.similar_files([], "python", 9) == ()
    assert index.similar_files(names, "python", 0) == ()


def test_pairs_are_mutual(root: Path, database: Path, index: WorkspaceIndex) -> None:
    draw(root, "a/util.ts:\na/util.test.ts:\nb/util.ts:\nb/util.py:\nb/test_util.py:\nlone.py:")
    build(root, database)
    assert index.test_pair("a/util.ts") == "a/util.test.ts"
    assert index.test_pair("a/util.test.ts") == "a/util.ts"
    assert index.test_pair("b/util.ts") is None  # the one there is belongs to a/
    assert index.test_pair("b/util.py") == "b/test_util.py"
    assert index.test_pair("lone.py") is None
    assert index.test_pair("unknown.py") is None


def test_files_of_another_family_do_not_use_up_the_limit(
    root: Path, database: Path, index: WorkspaceIndex
) -> None:
    for number in range(9):
        (root / f"m{number}.js").write_text("walrus = penguin = 0")
    (root / "only.py").write_text("walrus = 0")
    build(root, database)
    assert index.similar_files(["walrus", "penguin"], "python", 2) == ("only.py",)


def test_a_name_that_too_many_files_have_makes_no_pairs(
    root: Path, database: Path, index: WorkspaceIndex
) -> None:
    def add(number: int) -> None:
        draw(root, f"p{number}/index.ts:\np{number}/index.test.ts:")

    add(0)
    build(root, database)
    assert index.test_pair("p0/index.ts") == "p0/index.test.ts"
    for number in range(1, 40):
        add(number)
    build(root, database)
    assert index.test_pair("p0/index.ts") is None


def test_an_unchanged_file_is_not_read_again(
    root: Path, database: Path, index: WorkspaceIndex
) -> None:
    file = root / "a.py"
    file.write_text("old_name = 1")
    build(root, database)
    before = file.stat()
    file.write_text("new_name = 1")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    build(root, database)
    assert index.frequency(["old_name", "new_name"]) == {"old_name": 1}
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    build(root, database)
    assert index.frequency(["old_name", "new_name"]) == {"new_name": 1}


def test_a_file_without_code_is_noted_and_may_become_code(
    root: Path, database: Path, index: WorkspaceIndex
) -> None:
    (root / "a.py").write_bytes(b"name = 1\0")
    build(root, database)
    assert index.num_files == 0
    with closing(IndexStore(connect_to_write(database))) as store:
        assert [*store.stamps()] == ["a.py"]
    (root / "a.py").write_bytes(b"name = 123")
    build(root, database)
    assert index.frequency(["name"]) == {"name": 1}


def test_many_files_are_read_by_processes(
    root: Path, database: Path, index: WorkspaceIndex
) -> None:
    for number in range(600):
        (root / f"m{number}.py").write_text(f"def only_{number}(): return common_name\n")
    build(root, database)
    assert index.num_files == 600
    assert index.frequency(["common_name", "only_599"]) == {"common_name": 600, "only_599": 1}


def test_only_its_owner_reads_it(root: Path, database: Path, index: WorkspaceIndex) -> None:
    draw(root, SHOP)
    with closing(IndexStore(connect_to_write(database))) as store:
        update(store, root)
        assert index.num_files == 5
        modes = {stat.S_IMODE(file.stat().st_mode) for file in database.parent.iterdir()}
    assert modes == {0o600}
    assert stat.S_IMODE(database.parent.stat().st_mode) == 0o700


def test_nothing_is_written_into_the_workspace(root: Path, database: Path) -> None:
    draw(root, SHOP)
    before = sorted(root.rglob("*"))
    build(root, database)
    assert sorted(root.rglob("*")) == before


def test_a_missing_index_answers_nothing(index: WorkspaceIndex) -> None:
    assert index.num_files == 0
    assert index.symbols(["a"], "python") == ()
    assert index.symbols_in("a.py") == ()
    assert index.frequency(["a"]) == {}
    assert index.similar_files(["a"], "python", 3) == ()
    assert index.test_pair("a.py") is None


def test_a_locked_index_answers_nothing_and_does_not_wait(
    root: Path, database: Path, index: WorkspaceIndex
) -> None:
    draw(root, SHOP)
    build(root, database)
    with closing(sqlite3.connect(database)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("DELETE FROM left_out")
        other.commit()
        assert index.num_files == 0
    assert index.num_files == 5


def damage_head(database: Path) -> None:
    database.write_bytes(b"this is no database" * 100)


def damage_inside(database: Path) -> None:
    content = bytearray(database.read_bytes())
    content[4096:] = b"\x5a" * (len(content) - 4096)
    database.write_bytes(content)


def empty(database: Path) -> None:
    database.write_bytes(b"")


def make_old(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA user_version = 1")
        connection.execute("DROP TABLE symbol")


@pytest.mark.parametrize("damage", [damage_head, damage_inside, empty, make_old])
def test_a_damaged_or_old_index_answers_nothing_and_is_built_anew(
    root: Path, database: Path, index: WorkspaceIndex, damage: Callable[[Path], None]
) -> None:
    draw(root, SHOP)
    build(root, database)
    damage(database)
    assert index.symbols(["Order"], "python") == ()
    build(root, database)
    assert index.num_files == 5
    assert len(index.symbols(["Order"], "python")) == 1


def test_a_reader_finds_the_new_database(root: Path, database: Path, index: WorkspaceIndex) -> None:
    draw(root, SHOP)
    build(root, database)
    assert index.num_files == 5
    database.unlink()
    (root / "shop/item.py").unlink()
    build(root, database)
    assert index.num_files == 4


def test_each_workspace_has_a_database_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    one, other = database_of(Path("/home/me/one")), database_of(Path("/home/me/two"))
    assert one != other
    assert one == database_of(Path("/home/me/two/../one"))


def test_functions_by_the_words_they_speak_of(
    root: Path, database: Path, index: WorkspaceIndex
) -> None:
    draw(root, SHOP)
    build(root, database)
    found = index.functions(["total", "price", "zebra"], "python", 10)
    assert [it.name for _, it in found] == ["total", "test_total", "make_item"]
    assert found[0][0] == found[1][0] > found[2][0] > 0  # twice in a name
    assert [it.path for _, it in index.functions(["order"], "javascript", 10)] == ["web/order.ts"]
    assert len(index.functions(["total"], "python", 1)) == 1
    assert index.functions([], "python", 10) == ()
    assert index.functions(["zebra"], "python", 10) == ()


def test_functions_that_have_gone_are_not_found(
    root: Path, database: Path, index: WorkspaceIndex
) -> None:
    draw(root, SHOP)
    build(root, database)
    (root / "shop/item.py").write_text("def other():\n    pass\n")
    (root / "tests/test_order.py").unlink()
    build(root, database)
    assert [it.name for _, it in index.functions(["other"], "python", 10)] == ["other"]
    assert index.functions(["make"], "python", 10) == ()
    with closing(sqlite3.connect(database)) as connection:
        words = dict(connection.execute("SELECT word, LENGTH(places) / 8 FROM function_word"))
    # Two functions of the first batch are left of it: `total`, and TypeScript's.
    assert words == {
        "python total": 1,
        "python other": 1,
        "javascript make": 1,
        "javascript order": 1,
        "javascript price": 1,
        "javascript number": 1,
    }
