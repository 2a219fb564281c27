from importlib.metadata import version

import inkling


def test_the_version_is_pyprojects() -> None:
    assert inkling.__version__ == version("inkling-lsp")
