"""Inkling: local inline code completion."""

# Written out rather than read from the installed package's metadata: that takes 20 ms of a start,
# and a source tree is not always installed. A test keeps it equal to pyproject.toml's.
__version__ = "0.1.0"
__all__ = ["__version__"]
