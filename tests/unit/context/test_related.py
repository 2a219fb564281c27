"""Which code of other files gets into a prompt, in a real workspace with a real index."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from inkling.context.related import related_code
from inkling.context.syntax import parse
from inkling.core import Chunk, DocumentSnapshot
from inkling.workspace.database import connect_to_write, database_of
from inkling.workspace.store import IndexStore
from inkling.workspace.updates import update
from inkling.workspace.workspace import Workspace
from tests.pictures import at_cursor

FILES = {
    "shop/models.py": (
        "class Order:\n    number: int\n\n    def total(self, rate):\n        return rate\n\n\n"
        "def unrelated_thing(alpha_beta):\n    return alpha_beta\n"
    ),
    "shop/mail.py": "def deliver(order, address):\n    return address\n",
    "shop/app.py": "def checkout(order):\n    return order\n",
    "tests/test_app.py": (
        "from shop.app import checkout\n\n\ndef test_checkout_keeps_the_order(order):\n"
        "    assert checkout(order) is order\n"
    ),
    "deep/down/rare.py": "def gather(zanzibar_rates):\n    return sorted(zanzibar_rates)\n",
}
Related = Callable[..., tuple[Chunk, ...]]


@pytest.fixture
def related(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Related]:
    """Chunks for a picture in `shop/app.py` of an indexed workspace."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = tmp_path / "work"
    for path, text in FILES.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    database = database_of(root)
    database.parent.mkdir(parents=True)
    store = IndexStore(connect_to_write(database))
    update(store, root)
    store.close()
    workspace = Workspace(root)

    def ask(
        picture: str, room: int = 4000, recent: tuple[Chunk, ...] = (), path: str = "shop/app.py"
    ) -> tuple[Chunk, ...]:
        text, offset = at_cursor(picture)
        document = DocumentSnapshot((root / path).as_uri(), path, "python", text, 0)
        tree = parse("python", text)
        return related_code(document, offset, tree, (), recent, workspace, room)

    yield ask
    workspace.index.close()


def texts_of(chunks: tuple[Chunk, ...], path: str) -> str:
    return "\n".join(chunk.text for chunk in chunks if chunk.path == path)


def test_what_a_name_means_comes_from_the_index(related: Related) -> None:
    chunks = related("def checkout(order):\n    deliver(‸\n")
    assert chunks[0] == Chunk("shop/mail.py", "def deliver(order, address):")


def test_an_imported_class_shows_its_members_and_nothing_else_of_its_file(
    related: Related,
) -> None:
    chunks = related("from shop.models import Order\n\n\ndef checkout(order: Order):\n    ‸\n")
    first = chunks[0]
    assert first.path == "shop/models.py"
    assert "def total(self, rate):" in first.text
    assert "unrelated_thing" not in first.text


def test_the_base_class_far_above_counts(related: Related) -> None:
    filler = "".join(f"        value_{n} = {n}\n" for n in range(60))
    chunks = related(f"class Mine(Order):\n    def pay(self):\n{filler}        ‸\n")
    assert "def total(self, rate):" in texts_of(chunks, "shop/models.py")


def test_a_files_test_is_there(related: Related) -> None:
    chunks = related("def checkout(order):\n    ‸\n")
    assert "test_checkout_keeps_the_order" in texts_of(chunks, "tests/test_app.py")


def test_similar_code_comes_from_anywhere_in_the_workspace(related: Related) -> None:
    chunks = related("def sort_them(zanzibar_rates):\n    ‸\n")
    assert "sorted(zanzibar_rates)" in texts_of(chunks, "deep/down/rare.py")


def test_what_was_edited_last_is_there_once(related: Related) -> None:
    recent = Chunk("shop/new.py", "def brand_new(order):\n    ...")
    chunks = related("def checkout(order):\n    ‸\n", recent=(recent, recent))
    assert chunks.count(recent) == 1


def test_nothing_comes_from_the_document_itself(related: Related) -> None:
    own = Chunk("shop/app.py", "def checkout(order):")
    chunks = related("from shop.app import checkout\ncheckout(‸\n", recent=(own,))
    assert "shop/app.py" not in {chunk.path for chunk in chunks}


@pytest.mark.parametrize("room", [0, 60, 300, 4000])
def test_chunks_keep_to_their_room(related: Related, room: int) -> None:
    chunks = related("from shop.models import Order\ndeliver(Order(), ‸\n", room=room)
    assert sum(len(chunk.text) + len(chunk.path) for chunk in chunks) <= room


def test_the_same_place_gives_the_same_chunks(related: Related) -> None:
    picture = "from shop.models import Order\ndeliver(Order(), zanzibar_rates‸\n"
    assert related(picture) == related(picture)
