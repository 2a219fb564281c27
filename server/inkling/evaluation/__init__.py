"""How good completions are on a repository that its user names: `inkling eval`.

Holes are punched into its files and filled by the real server; true text is typed again key by key; and,
without any model, it is counted which names of the true text a prompt holds.
"""

# Kinds of holes: `holes.py` says what they are. Here, so that the command line can name them unloaded.
KINDS = ("line", "statement", "block", "function", "arguments", "import")
