"""gpt-oss on a GPU with exllamav2's own products: a slower path over the same EXL2 files.

Owns: how exllamav2 is given its matrices and what of its products is kept from overflowing. All else
is the reference's mathematics in fp32. Does not know: our own layout and kernels.
"""

from inkling.engine.exllamav2.kernels import load_kernels
from inkling.engine.exllamav2.load import load_exllamav2
from inkling.engine.exllamav2.memory import check_fits, needed

__all__ = ["check_fits", "load_exllamav2", "load_kernels", "needed"]
