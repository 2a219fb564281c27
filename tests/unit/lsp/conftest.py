from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.lsp.editor import Editor


@pytest.fixture
async def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Editor]:
    """An editor and its server, not yet started, far from the user's own settings."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    editor = Editor()
    yield editor
    await editor.stop()
