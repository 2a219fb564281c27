"""The sizes of tiles, all in one place: what to change when tuning for a card."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Tile:
    """What one block of threads computes: `rows` x `columns`, `groups` of 32 inputs a step.

    Rows are 16 (the tensor cores' older instruction) or a multiple of 64 (the one of sm_90).
    `columns * groups` must be the number of threads, `32 * warps`: see `matrix`.
    """

    rows: int
    columns: int
    groups: int
    warps: int
    stages: int

    @property
    def launch(self) -> dict[str, int]:
        """The arguments of a kernel's launch."""
        return {
            "ROWS": self.rows,
            "COLUMNS": self.columns,
            "GROUPS": self.groups,
            "num_warps": self.warps,
            "num_stages": self.stages,
            # Two blocks of 256 threads fit a multiprocessor: one dequantizes while the other
            # multiplies. The inner loop needs less; some epilogues would take more.
            "maxnreg": 128,
        }


# (rows to multiply at most, tile). Few rows: narrow tiles, since there must be a block of threads
# for each of the 132 multiprocessors. Many rows: dequantizing costs as many cycles as the product
# of 64 to 128 rows, so a block should take that many.
_DENSE = (
    (16, Tile(16, 32, 4, 4, 4)),
    (64, Tile(64, 32, 4, 4, 3)),
    (256, Tile(64, 64, 2, 4, 4)),
    (None, Tile(128, 128, 2, 8, 3)),
)
# (rows of one expert on average at most, tile).
_EXPERTS = (
    (8, Tile(16, 64, 2, 4, 4)),
    (48, Tile(64, 128, 2, 8, 3)),
    (None, Tile(128, 128, 2, 8, 3)),
)


def dense_tile(num_rows: int) -> Tile:
    """For a matrix that multiplies `num_rows` rows."""
    return next(tile for most, tile in _DENSE if most is None or num_rows <= most)


def experts_tile(num_pairs: int, num_experts: int) -> Tile:
    """For `num_pairs` rows that are spread over `num_experts` matrices."""
    mean = num_pairs / num_experts
    return next(tile for most, tile in _EXPERTS if most is None or mean <= most)
