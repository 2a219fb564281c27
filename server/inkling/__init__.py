"""Inkling: local inline code completion."""

from importlib.metadata import version

__version__ = version("inkling-lsp")
__all__ = ["__version__"]
