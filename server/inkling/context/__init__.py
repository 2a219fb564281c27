"""What surrounds the cursor, as text: syntax, the extent of a block, related chunks.

Pure functions over document snapshots; safe in any thread. Knows nothing of tokens, models, editors.
"""
