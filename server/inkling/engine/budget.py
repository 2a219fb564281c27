"""How many tokens a request may have, and how many pages of KV cache the settings ask for."""

from inkling.config import EngineSettings

PAGE_LEN = 16  # tokens
# Of the demo model. It reads 3,900 tokens five times as long as 1,120 on two cores (bench/RESULTS.md).
CPU_CONTEXT_LEN = 1280


def context_len(settings: EngineSettings, longest: int, *, is_demo_on_cpu: bool = False) -> int:
    """Tokens of the longest prompt with its completion, for a model that can take `longest`."""
    # A long context is not paid for unasked: 131,072 tokens of gpt-oss-20b are 6 GiB in fp16.
    unasked = CPU_CONTEXT_LEN if is_demo_on_cpu else settings.kv_tokens
    return min(settings.context_len or unasked, longest)


def num_pages(settings: EngineSettings, longest: int) -> int:
    """Pages of PAGE_LEN tokens that the KV cache shall have."""
    # One request must always fit, with a page to spare for copy-on-write.
    return max(settings.kv_tokens, context_len(settings, longest)) // PAGE_LEN + 2
