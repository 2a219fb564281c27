"""Whole functions from a comment or a signature: where one is described, what is like it, its edit.

Knows nothing of the language server protocol. `author.py` is the list of steps.
"""
