"""Context as text → prompt as token ids, laid out so that typing only ever appends.

Owns the Harmony format and the plan of what goes where. Knows nothing of editors and of the engine;
pure functions over snapshots, any thread.
"""
