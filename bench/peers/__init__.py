"""One trace, every engine: each module is one engine behind one interface, `run` replays the trace.

Measured is what an editor would wait for: the request leaves, the first token is there (TTFT), the
last token is there. Weights are random at gpt-oss-20b's true shapes: speed does not depend on what
they say. Nobody is asked twice for the same prompt, and every engine sees the same order of prompts.
"""
