"""How many tokens a request may have, and how many pages of KV cache the settings ask for."""

from inkling.config import EngineSettings

PAGE_LEN = 16  # tokens


def context_len(settings: EngineSettings, longest: int) -> int:
    """Tokens of the longest prompt with its completion, for a model that can take `longest`."""
    # A long context is not paid for unasked: 131,072 tokens of gpt-oss-20b are 6 GiB in fp16.
    return min(settings.context_len or settings.kv_tokens, longest)


def num_pages(settings: EngineSettings, longest: int) -> int:
    """Pages of PAGE_LEN tokens that the KV cache shall have."""
    # One request must always fit, with a page to spare for copy-on-write.
    return max(settings.kv_tokens, context_len(settings, longest)) // PAGE_LEN + 2
