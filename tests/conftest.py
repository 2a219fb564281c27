"""Without a GPU the Triton kernels run in Triton's interpreter.

It must be chosen before triton is imported, and transformers imports it for MXFP4: so here, for all
tests, and not beside those of the kernels.
"""

import os

import torch

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"
