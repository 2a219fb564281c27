"""The import rules of ARCHITECTURE.md, looked at in running processes rather than in source."""

import subprocess
import sys

HEAVY = ("torch", "safetensors", "numpy", "starlette", "uvicorn")


def modules_after(code: str) -> set[str]:
    ran = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(ran.stdout.split())


def test_the_server_and_the_pipeline_run_without_torch() -> None:
    loaded = modules_after("import inkling.lsp.server, inkling.completer, inkling.doctor")
    assert not loaded.intersection(HEAVY)
    assert not any(name.startswith("inkling.engine") for name in loaded)


def test_the_engine_imports_no_front_end() -> None:
    loaded = modules_after("import inkling.engine.serve, inkling.engine.exl2")
    assert not loaded.intersection({"pygls", "lsprotocol", "tree_sitter"})
    assert not any(name.startswith("inkling.lsp") for name in loaded)


def test_the_command_line_starts_without_either() -> None:
    loaded = modules_after("import inkling.cli")
    assert not loaded.intersection({*HEAVY, "pygls", "tree_sitter", "aiohttp", "tiktoken"})
