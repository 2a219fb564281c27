"""gpt-oss on the user's GPU, from EXL2 weights that stay quantized.

Owns: the layout of weights in video memory, the kernels, and which of them serves a pass. Does not
know: text, requests, which positions prompts share. Runs on the engine's one model thread.
"""
