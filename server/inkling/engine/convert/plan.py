"""Everything a converted checkpoint will hold, laid out before the first weight is read.

All sizes follow from config.json and the recipe. So the disk can be checked and taken at once, tensors
can be written in any order at their own place, and whoever goes on after a kill only needs to know which
are there.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from inkling.engine.convert.recipe import Kind, Recipe
from inkling.engine.exl2.format import OPTIONAL, REQUIRED
from inkling.engine.exl2.names import LayerNames, Linear, ModelNames, Vector

# What can become of a matrix: the last names of its tensors.
PARTS = ("weight", "blocks", "scales", *REQUIRED, *OPTIONAL)

# Bytes of an element, by safetensors' names.
_WIDTHS = {"I32": 4, "F16": 2, "I16": 2, "U8": 1}


@dataclass(frozen=True)
class Place:
    """Where a tensor lies: `nbytes` from byte `start` of file number `file`."""

    file: int
    start: int
    nbytes: int
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Item:
    """What is converted at a time: one matrix of a kind, or (kind None) what stays fp16 of a layer."""

    name: str
    kind: Kind | None
    linear: Linear | None
    vectors: tuple[Vector, ...] = ()
    routers: tuple[Linear, ...] = ()

    @property
    def num_weights(self) -> int:
        """Numbers read for it."""
        if self.linear is not None:
            return self.linear.in_features * self.linear.out_features
        routers = sum(linear.in_features * linear.out_features for linear in self.routers)
        return routers + sum(vector.size for vector in self.vectors)


@dataclass(frozen=True)
class Shard:
    """One safetensors file: its header, and how long it is in all."""

    name: str
    header: bytes
    nbytes: int


@dataclass(frozen=True)
class Plan:
    """All items, the largest first, all files, and the place of each tensor by its name."""

    items: tuple[Item, ...]
    shards: tuple[Shard, ...]
    places: dict[str, Place]

    @property
    def nbytes(self) -> int:
        return sum(shard.nbytes for shard in self.shards)

    @property
    def num_weights(self) -> int:
        return sum(item.num_weights for item in self.items)

    def names(self, item: Item) -> list[str]:
        """What an item's tensors are called, sorted: the order in which they are hashed."""
        names = [vector.name for vector in item.vectors]
        names += [f"{router.name}.weight" for router in item.routers]
        if item.linear is not None:
            parts = [f"{item.linear.name}.{part}" for part in PARTS]
            names += [name for name in parts if name in self.places]
        return sorted(names)

    def index(self) -> dict[str, Any]:
        """The contents of model.safetensors.index.json."""
        weight_map = {name: self.shards[place.file].name for name, place in self.places.items()}
        total_size = sum(place.nbytes for place in self.places.values())
        return {
            "metadata": {"total_size": total_size},
            "weight_map": dict(sorted(weight_map.items())),
        }


def make_plan(names: ModelNames, recipe: Recipe) -> Plan:
    """One file of what belongs to no layer, one of each layer."""
    groups = [
        list(_ends(names)),
        *(list(_layer(index, layer)) for index, layer in enumerate(names.layers)),
    ]
    places: dict[str, Place] = {}
    shards = []
    for number, items in enumerate(groups):
        name = f"model-{number + 1:05}-of-{len(groups):05}.safetensors"
        tensors = {key: spec for item in items for key, spec in _tensors(item, recipe)}
        shard, placed = _shard(number, name, tensors, recipe)
        shards.append(shard)
        places |= placed
    items = [item for group in groups for item in group]
    # The largest first, but otherwise as the model has them: a source is read from front to back.
    items.sort(key=lambda item: item.kind not in ("embedding", "head"))
    return Plan(tuple(items), tuple(shards), places)


def _ends(names: ModelNames) -> Iterator[Item]:
    yield Item(names.embedding.name, "embedding", names.embedding)
    if names.head is not None:
        yield Item(names.head.name, "head", names.head)
    yield Item("model.norm", None, None, (names.norm,))


def _layer(index: int, layer: LayerNames) -> Iterator[Item]:
    biased = (*layer.qkv, layer.attention_out, layer.router, *layer.gate_up, *layer.down)
    vectors = (
        layer.input_norm,
        layer.sinks,
        layer.post_attention_norm,
        *(linear.bias for linear in biased),
    )
    yield Item(f"model.layers.{index}", None, None, vectors, (layer.router,))
    kinds: tuple[tuple[Kind, tuple[Linear, ...]], ...] = (
        ("attention", (*layer.qkv, layer.attention_out)),
        ("gate_up", layer.gate_up),
        ("down", layer.down),
    )
    for kind, linears in kinds:
        for linear in linears:
            yield Item(linear.name, kind, linear)


def _tensors(item: Item, recipe: Recipe) -> Iterator[tuple[str, tuple[str, tuple[int, ...]]]]:
    """Names, and safetensors' dtype and shape, of what becomes of an item."""
    for vector in item.vectors:
        yield vector.name, ("F16", (vector.size,))
    for router in item.routers:
        yield f"{router.name}.weight", ("F16", (router.out_features, router.in_features))
    if item.linear is None or item.kind is None:
        return
    how, name = recipe.of(item.kind), item.linear.name
    rows, columns = item.linear.in_features, item.linear.out_features
    if how.method == "mxfp4":
        yield f"{name}.blocks", ("U8", (columns, rows // 32, 16))
        yield f"{name}.scales", ("U8", (columns, rows // 32))
    elif how.exl2 is None:
        yield f"{name}.weight", ("F16", (columns, rows))
    else:
        bits, group = how.exl2
        num_groups = math.ceil(rows / group)
        shapes = ("I32", (rows * bits // 32, columns)), ("I32", (num_groups, columns // 8))
        more = ("F16", (num_groups,)), ("I16", (2 * num_groups,))
        for part, spec in zip(REQUIRED, (*shapes, *more), strict=True):
            yield f"{name}.{part}", spec
        if how.method == "gptq":
            yield f"{name}.q_invperm", ("I32", (rows,))


def _shard(
    number: int, name: str, tensors: dict[str, tuple[str, tuple[int, ...]]], recipe: Recipe
) -> tuple[Shard, dict[str, Place]]:
    # As safetensors itself orders them: widest elements first, so that each tensor is aligned.
    order = sorted(tensors, key=lambda key: (-_WIDTHS[tensors[key][0]], key))
    header: dict[str, Any] = {"__metadata__": {"format": "pt", "inkling.recipe": recipe.name}}
    offsets = {}
    end = 0
    for key in order:
        dtype, shape = tensors[key]
        nbytes = math.prod(shape) * _WIDTHS[dtype]
        offsets[key] = end
        header[key] = {"dtype": dtype, "shape": list(shape), "data_offsets": [end, end + nbytes]}
        end += nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    whole = len(text).to_bytes(8, "little") + text
    places = {
        key: Place(
            number,
            len(whole) + offsets[key],
            math.prod(tensors[key][1]) * _WIDTHS[tensors[key][0]],
            *tensors[key],
        )
        for key in order
    }
    return Shard(name, whole, len(whole) + end), places
