"""The project's own formatter, with programs that stand for it and the real ruff."""

import shutil
import sys
from pathlib import Path

import pytest

from inkling.core import DocumentSnapshot
from inkling.function.edit import Edit, edited
from inkling.function.formatting import formatted_edit
from tests.unit.function.pictures import place_in

RUFF = Path(sys.executable).with_name("ruff")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "work"
    (root / ".venv/bin").mkdir(parents=True)
    (root / "src").mkdir()
    return root


def program(root: Path, name: str, python: str) -> None:
    """A program that does to what it reads what some Python does to `text`."""
    file = root / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!{sys.executable}\nimport sys\ntext = sys.stdin.read()\n{python}\n")
    file.chmod(0o755)


async def after(
    root: Path | None, picture: str, written: str, language: str = "python", folder: str = "src"
) -> str:
    place = place_in(picture, language)
    assert place is not None
    text = picture.replace("‸", "")
    name = "a.py" if language == "python" else "a.js"
    file = (root or Path("/nowhere")) / folder / name
    document = DocumentSnapshot(file.as_uri(), name, language, text, 1)
    edit = Edit(place.start, place.end, place.lead + written + place.tail)
    return edited(text, [await formatted_edit(document, place, edit, root)])


METHOD = "class A:\n    def f(self, a):\n        '''Doc.'''\n        ...‸\n\n    x  =  1\n"
WRITTEN = "if a :\n            b = {  'a':1}\n\n        return b"
PLAIN = f"class A:\n    def f(self, a):\n        '''Doc.'''\n        {WRITTEN}\n\n    x  =  1\n"


@pytest.mark.skipif(not RUFF.exists(), reason="ruff is not installed beside this Python")
async def test_ruff_formats_the_function_and_nothing_else(root: Path) -> None:
    shutil.copy(RUFF, root / ".venv/bin/ruff")
    (root / "pyproject.toml").write_text('[tool.ruff.format]\nquote-style = "single"\n')
    picture = METHOD.replace("'''Doc.'''", '"""Doc."""')
    assert await after(root, picture, WRITTEN) == (
        'class A:\n    def f(self, a):\n        """Doc."""\n'
        "        if a:\n            b = {'a': 1}\n\n        return b\n\n    x  =  1\n"
    )
    picture = "# a thing of it‸\n\nx  =  1\n"
    assert await after(root, picture, "def f( a ):\n    return  a") == (
        "# a thing of it\ndef f(a):\n    return a\n\nx  =  1\n"
    )


async def test_a_formatter_is_run_only_where_the_project_configures_it(root: Path) -> None:
    program(root, ".venv/bin/ruff", "print(text.replace('return b', 'return ruff'))")
    program(root, ".venv/bin/black", "print(text.replace('return b', 'return black'))")
    assert await after(root, METHOD, WRITTEN) == PLAIN
    (root / "ruff.toml").write_text("")
    assert await after(None, METHOD, WRITTEN) == PLAIN
    assert "return ruff" in await after(root, METHOD, WRITTEN)
    (root / "src/pyproject.toml").write_text("[tool.black]\n")
    assert "return black" in await after(root, METHOD, WRITTEN)


@pytest.mark.parametrize(
    "python",
    [
        "sys.exit(1)",
        "print()",
        "print('garbage')",
        "print(text.replace('def f(self, a)', 'def f(self,a)'))",
        "sys.stdout.buffer.write(bytes([255]))",
    ],
)
async def test_a_formatter_that_fails_or_changes_the_header_changes_nothing(
    root: Path, python: str
) -> None:
    (root / "ruff.toml").write_text("")
    program(root, ".venv/bin/ruff", python)
    assert await after(root, METHOD, WRITTEN) == PLAIN


async def test_a_text_inside_a_string_keeps_its_margin(root: Path) -> None:
    (root / "ruff.toml").write_text("")
    program(root, ".venv/bin/ruff", "print(text.replace('return', 'RETURN'))")
    written = "b = '''\nno margin\n'''\n        return b"
    assert written in await after(root, METHOD, written)


async def test_prettier_gets_what_stands_behind_the_body_too(root: Path) -> None:
    program(root, "node_modules/.bin/prettier", "print(text.replace('  return', '\\treturn'))")
    picture = "const f = (a) => {‸};\n"
    assert "  return a" in await after(root, picture, "return a;", "javascript")
    (root / "package.json").write_text('{"prettier": {"useTabs": true}}')
    formatted = await after(root, picture, "return a;", "javascript")
    assert formatted == "const f = (a) => {\n\treturn a;\n};\n"
