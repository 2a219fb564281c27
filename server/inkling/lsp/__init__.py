"""The language server: the only package that knows LSP. One file per method or concern.

Nothing here may delay the answer to `initialize`: what is heavy (settings, the completer and all it
imports) is loaded in a thread after it.
"""
