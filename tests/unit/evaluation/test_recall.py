from dataclasses import replace
from pathlib import Path

import pytest

from inkling.config import Settings
from inkling.evaluation.holes import Hole
from inkling.evaluation.recall import ContextRecall
from inkling.evaluation.sources import read_sources
from inkling.workspace.workspace import Workspace


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "shop.py").write_text("def price_of(item):\n    return item.cost\n")
    (tmp_path / "app.py").write_text(
        "from shop import price_of\n\n\ndef total(items):\n"
        "    return sum(price_of(item) + item.cost + only_here for item in items)\n"
    )
    return tmp_path


def hole_in(root: Path, truth: str) -> Hole:
    [source] = [it for it in read_sources(root) if it.path == "app.py"]
    start = source.text.index(truth)
    return Hole("line", source, start, start + len(truth), True)


def test_names_elsewhere_count_and_code_of_other_files_brings_them(root: Path) -> None:
    measure = ContextRecall(root, read_sources(root), Settings(), Workspace(root))
    hole = hole_in(root, "price_of(item) + item.cost + only_here")
    with_related, without = (measure.of(hole, related_code=it) for it in (True, False))
    # `price_of` and `item` stand in the file too, `cost` in the other one, `only_here` nowhere else.
    assert (with_related.names, with_related.names_elsewhere) == (3, 1)
    assert (with_related.found, with_related.found_elsewhere) == (3, 1)
    assert (without.found, without.found_elsewhere) == (2, 0)


def test_the_hole_itself_is_never_in_the_prompt(root: Path) -> None:
    (root / "other.py").write_text("only_here = 1\n")
    measure = ContextRecall(root, read_sources(root), Settings(related_code=False), Workspace(root))
    hole = hole_in(root, "only_here")
    assert measure.of(hole, related_code=False).found == 0
    assert measure.of(hole, related_code=False).names == 1


def test_what_is_cut_off_to_the_right_is_not_in_the_file(root: Path) -> None:
    measure = ContextRecall(root, read_sources(root), Settings(), Workspace(root))
    hole = hole_in(root, "item) + item.cost")
    assert measure.of(hole, related_code=False).names_elsewhere == 1
    cut = replace(hole, has_suffix=False)
    assert measure.of(cut, related_code=False).names_elsewhere == 2
