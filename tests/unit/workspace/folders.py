"""Folders by picture: a file a line, `path: text`; a line that ends with `/` is an empty folder."""

import textwrap
from pathlib import Path


def draw(root: Path, picture: str) -> None:
    """Write the files of a picture. `\\n` in a text is a line break."""
    for line in textwrap.dedent(picture).strip().splitlines():
        path, _, text = line.partition(": ")
        if path.endswith("/"):
            (root / path).mkdir(parents=True, exist_ok=True)
            continue
        file = root / path.rstrip(":")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text.replace("\\n", "\n"))
