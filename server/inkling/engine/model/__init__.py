"""gpt-oss as a model: its configuration, what the engine asks of any model, the torch reference.

Owns: the mathematics and the layout of KV tensors. Does not know: checkpoints, text, requests,
which positions are shared between prompts. Runs on the engine's one model thread.
"""
