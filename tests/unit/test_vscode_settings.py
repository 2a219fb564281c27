"""VS Code's form of the settings takes what the server takes, and nothing that it refuses."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from inkling.config import Settings

PACKAGE = Path(__file__).parents[2] / "editors" / "vscode" / "package.json"
BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
SCHEMA = Settings.model_json_schema()


def of_server(schema: dict[str, Any] = SCHEMA, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Each setting in VS Code's spelling, with its schema; that of null is left out."""
    for name, of in schema["properties"].items():
        full = prefix + re.sub("_(.)", lambda match: match[1].upper(), name)
        if "$ref" in of:
            yield from of_server(SCHEMA["$defs"][of["$ref"].split("/")[-1]], f"{full}.")
        else:
            (some,) = [part for part in of.get("anyOf", [of]) if part.get("type") != "null"]
            yield full, {**of, **some}


def of_vscode() -> dict[str, Any]:
    groups = json.loads(PACKAGE.read_text())["contributes"]["configuration"]
    return {name: of for group in groups for name, of in group["properties"].items()}


@pytest.mark.parametrize(("name", "server"), list(of_server()), ids=dict(of_server()))
def test_bounds_choices_and_default_are_the_servers(name: str, server: Any) -> None:
    vscode = of_vscode()[f"inkling.{name}"]
    assert {key: vscode.get(key) for key in BOUNDS} == {key: server.get(key) for key in BOUNDS}
    assert sorted(vscode.get("enum", [])) == sorted(server.get("enum", []))
    assert vscode["default"] in (server.get("default"), "", None)
