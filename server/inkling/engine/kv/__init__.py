"""Which page holds which tokens: pages with reference counts, and the prefix tree over them.

Owns no tensor and imports no torch: the bytes are a `KVStore`'s. Engine thread only.
"""

from inkling.engine.kv.cache import KVCache, Sequence
from inkling.engine.kv.pool import CacheFull

__all__ = ["CacheFull", "KVCache", "Sequence"]
