"""Settings from files, environment and editor, and the sentences on what is wrong with them."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inkling.config import Settings


class Configuration:
    """Where the settings of one server come from."""

    def __init__(self) -> None:
        self.workspace_root: Path | None = None
        self._editor_options: Any = None
        self._told: set[str] = set()

    def set_editor_options(self, options: Any) -> None:
        """Take what an editor sent: the settings, bare or under the key "inkling"."""
        if isinstance(options, dict) and "inkling" in options:
            options = options["inkling"]
        self._editor_options = options

    def load(self) -> "tuple[Settings, list[str]]":
        """Read all sources anew. Returns the problems that were not returned before as well.

        Slow (imports, files): call it in a thread.
        """
        from inkling.config import load_settings, user_config_file

        settings, problems = load_settings(
            user_config_file(), self.workspace_root, os.environ, self._editor_options
        )
        new = [problem for problem in problems if problem not in self._told]
        self._told = set(problems)
        return settings, new
