"""EXL2: weights of 2 to 8 bits in groups of rows, as safetensors.

Owns: the format on disk, and the way between it and plain tensors. Does not know: what a model
computes with them. `load` reads a checkpoint, `write` makes one.
"""

from inkling.engine.exl2.load import load_checkpoint
from inkling.engine.exl2.quantize import quantize
from inkling.engine.exl2.write import write_checkpoint

__all__ = ["load_checkpoint", "quantize", "write_checkpoint"]
