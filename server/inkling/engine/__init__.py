"""The process that holds the model: token ids in, token ids and text out, over HTTP.

Owns the weights, the KV cache and the one thread that touches them. Knows no document, no editor.
The only package that imports torch.
"""
