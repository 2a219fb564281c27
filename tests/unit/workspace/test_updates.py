"""However an index came about, it says what a fresh one says."""

import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inkling.workspace.database import connect_to_write
from inkling.workspace.extractor import Extractor
from inkling.workspace.facts import Stamp
from inkling.workspace.scan import scan
from inkling.workspace.store import IndexStore
from inkling.workspace.updates import refresh, update

_CONTENT = """
SELECT path, stem, language, family, mtime_ns, size, '' FROM file
UNION ALL SELECT path, '', '', '', mtime_ns, size, 'left out' FROM left_out
UNION ALL SELECT path, name, symbol.family, kind, first_line, last_line, signature || doc
    FROM symbol LEFT JOIN file ON file.id = file_id
UNION ALL SELECT path, text, '', '', '', '', 'posting'
    FROM posting LEFT JOIN name ON name.id = name_id LEFT JOIN file ON file.id = file_id
UNION ALL SELECT '', text, '', '', num_files, '', 'name' FROM name
UNION ALL SELECT path, length(name_ids), '', '', '', '', 'names'
    FROM file_names LEFT JOIN file ON file.id = file_id
"""

_FILES = st.sampled_from(["a.py", "b.js", "lib/a.py", "lib/deep/c.ts", "gone/d.py"])
_TEXTS = st.sampled_from(
    ["def one(): return two\n", "class one: pass\nthree = 1\n", "", "\0", "two = three = 1\n"]
)
_IGNORED = st.sampled_from(["", "a.py\n", "lib/\n", "*.py\n!a.py\n"])
_STEPS = st.one_of(
    st.tuples(st.just("write"), _FILES, _TEXTS),
    st.tuples(st.just("delete"), _FILES, st.just("")),
    st.tuples(st.just("rename"), _FILES, _FILES),
    st.tuples(st.just("delete folder"), st.sampled_from(["lib", "lib/deep", "gone"]), st.just("")),
    st.tuples(st.just("ignore"), st.sampled_from([".gitignore", "lib/.inklingignore"]), _IGNORED),
    st.tuples(st.just("look"), st.just(""), st.just("")),
)


def content(database: Path) -> list[tuple[object, ...]]:
    """All that an index says, without the numbers it gives to files and names."""
    with closing(sqlite3.connect(database)) as connection:
        return sorted(connection.execute(_CONTENT).fetchall(), key=repr)


def take(step: tuple[str, str, str], root: Path) -> None:
    action, path, value = step
    file = root / path
    if action in ("write", "ignore"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(value)
    elif action == "delete":
        file.unlink(missing_ok=True)
    elif action == "delete folder":
        shutil.rmtree(file, ignore_errors=True)
    elif action == "rename" and file.exists():
        (root / value).parent.mkdir(parents=True, exist_ok=True)
        file.rename(root / value)


@settings(max_examples=25, deadline=None)
@given(st.lists(_STEPS, max_size=12))
def test_an_index_brought_up_to_date_equals_a_fresh_one(steps: list[tuple[str, str, str]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        root = folder / "work"
        root.mkdir()
        with closing(IndexStore(connect_to_write(folder / "kept.sqlite"))) as store:
            for step in steps:
                take(step, root)
                if step[0] == "look":
                    update(store, root)
            update(store, root)
        with closing(IndexStore(connect_to_write(folder / "fresh.sqlite"))) as store:
            update(store, root)
        assert content(folder / "kept.sqlite") == content(folder / "fresh.sqlite")


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["write", "delete"]), _FILES, _TEXTS), max_size=12))
def test_single_changes_lead_to_the_same_index(steps: list[tuple[str, str, str]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        root = folder / "work"
        for below in ("lib/deep", "gone"):
            (root / below).mkdir(parents=True)
        (root / ".gitignore").write_text("b.js\n")
        with closing(IndexStore(connect_to_write(folder / "kept.sqlite"))) as store:
            found = update(store, root)
            for step in steps:
                take(step, root)
                refresh(store, root, found, [str(root / step[1])])
        with closing(IndexStore(connect_to_write(folder / "fresh.sqlite"))) as store:
            update(store, root)
        assert content(folder / "kept.sqlite") == content(folder / "fresh.sqlite")


def test_a_change_in_an_unknown_folder_is_passed_over(tmp_path: Path) -> None:
    root = tmp_path.resolve() / "work"
    (root / "node_modules").mkdir(parents=True)
    (root / "node_modules/a.js").write_text("var name;")
    with closing(IndexStore(connect_to_write(tmp_path / "index.sqlite"))) as store:
        refresh(store, root, scan(root), [str(root / "node_modules/a.js")])
        assert store.stamps() == {}


def test_a_file_that_crashes_the_parser_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module that takes the parser's place crashes at one of the files."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, inkling.workspace.extract as module\n"
        "real = module.extract\n"
        "def extract(path, *rest):\n"
        "    if path == 'm3.py': os.abort()\n"
        "    return real(path, *rest)\n"
        "module.extract = extract\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    files = []
    for number in range(6):
        (tmp_path / f"m{number}.py").write_text("name = 1\n")
        files.append((f"m{number}.py", Stamp(1, 9)))
    with closing(Extractor(tmp_path)) as extractor:
        entries = extractor.entries(files)
    assert [entry.path for entry in entries] == [path for path, _ in files]
    assert [entry.path for entry in entries if entry.extract is None] == ["m3.py"]
