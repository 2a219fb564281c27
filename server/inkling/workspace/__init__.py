"""What a workspace holds beyond the open files: an index on disk, and where imports lead.

A process of its own builds the index and keeps it up to date (`indexer.py`); the server only reads
(`index.py`). Imports are resolved on demand (`imports.py`). Nothing is written into the workspace.
"""
