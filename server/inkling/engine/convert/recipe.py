"""What a conversion does to each kind of matrix: a table, shipped or the user's own, in TOML.

    description = "one line"
    [gate_up]
    method = "structured"
    bits = 5
    group = 32

A kind that the table leaves out stays as it is, in fp16.
"""

import tomllib
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from inkling.engine.exl2.format import BIT_WIDTHS, GROUP_SIZES
from inkling.errors import InklingError

Kind = Literal["embedding", "attention", "gate_up", "down", "head"]
# plain: fp16. mxfp4: as published. exact: MXFP4's values in EXL2. structured: near them, by a ladder of
# scales. nearest: rounded, with a search for the scales. gptq: calibrated on code.
Method = Literal["plain", "mxfp4", "exact", "structured", "nearest", "gptq"]

# (bits, group) that a method is made for; None: any that EXL2 has.
_ONLY: dict[Method, tuple[int, int] | None] = {
    "exact": (6, 32),
    "structured": (5, 32),
    "nearest": None,
    "gptq": None,
}
_OF_MXFP4 = ("mxfp4", "exact", "structured")


class RecipeError(InklingError):
    """There is no such recipe, or its file makes no sense."""


class How(BaseModel):
    """What is done to one kind of matrix. `bits` and `group` are those of EXL2."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: Method
    bits: int | None = None
    group: int | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.method not in _ONLY:
            if self.bits is not None or self.group is not None:
                raise ValueError(f"{self.method} takes no bits and no group")
            return self
        only = _ONLY[self.method]
        if only is not None and (self.bits, self.group) != only:
            raise ValueError(f"{self.method} is for bits = {only[0]}, group = {only[1]}")
        if self.bits not in BIT_WIDTHS:
            raise ValueError(f"bits must be one of {', '.join(map(str, BIT_WIDTHS))}")
        if self.group not in GROUP_SIZES:
            raise ValueError(f"group must be one of {', '.join(map(str, GROUP_SIZES))}")
        return self

    @property
    def exl2(self) -> tuple[int, int] | None:
        """Bits and group size, None for what does not become EXL2."""
        if self.bits is None or self.group is None:
            return None
        return self.bits, self.group

    def __str__(self) -> str:
        return self.method if self.exl2 is None else f"{self.method} {self.bits}-bit g{self.group}"


PLAIN = How(method="plain")


class Recipe(BaseModel):
    """A table of methods. `name` is the shipped recipe's, or the file's without its ending."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    description: str = ""
    embedding: How = PLAIN
    attention: How = PLAIN
    gate_up: How = PLAIN
    down: How = PLAIN
    head: How = PLAIN

    @model_validator(mode="after")
    def _check(self) -> Self:
        for kind in ("embedding", "attention", "head"):
            how = self.of(kind)
            if how.method in _OF_MXFP4:
                raise ValueError(f"{kind}: only experts can be {how.method}")
            if how.method == "gptq" and kind != "attention":
                raise ValueError(f"{kind}: only attention and experts can be calibrated")
        return self

    def of(self, kind: Kind) -> How:
        """What is done to a kind of matrix."""
        how: How = getattr(self, kind)
        return how

    @property
    def is_calibrated(self) -> bool:
        """Whether a forward pass over text is needed."""
        return "gptq" in {self.attention.method, self.gate_up.method, self.down.method}

    @property
    def table(self) -> dict[str, dict[str, int | str]]:
        """For metadata: kinds and what is done to each."""
        table: dict[str, dict[str, int | str]] = self.model_dump(
            exclude={"name", "description"}, exclude_none=True
        )
        return table


def recipe_names() -> list[str]:
    """The recipes that come with the package."""
    return sorted(path.name.removesuffix(".toml") for path in _folder().iterdir())


def load_recipe(name: str) -> Recipe:
    """A shipped recipe by its name, or one from a .toml file.

    Raises RecipeError for an unknown name, a file that cannot be read, and a table that makes no
    sense.
    """
    if name.endswith(".toml"):
        path = Path(name).expanduser()
        stem = path.stem
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise RecipeError(f"The recipe {path} cannot be read ({error}).") from error
    elif name in recipe_names():
        path, stem = Path(name), name
        text = _folder().joinpath(f"{name}.toml").read_text(encoding="utf-8")
    else:
        raise RecipeError(
            f"There is no recipe {name}: choose {', '.join(recipe_names())}, or give a .toml file."
        )
    try:
        return Recipe(name=stem, **tomllib.loads(text))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        what = first["msg"].removeprefix("Value error, ")
        raise RecipeError(
            f"The recipe {path} is wrong{f' at {where}' if where else ''}: {what}."
        ) from error
    except (ValueError, TypeError) as error:
        raise RecipeError(f"The recipe {path} is no TOML table of methods ({error}).") from error


def _folder() -> Traversable:
    return files("inkling.engine.convert").joinpath("recipes")
