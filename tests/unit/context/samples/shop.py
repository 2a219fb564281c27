"""A shop."""

import os.path
import json as j
from .prices import price_of
from shop.items import Item

LIMIT: int = 10
type Basket = list[Item]


@register
class Order(Item):
    """What somebody wants."""

    size = 3

    def __init__(self, name: str) -> None:
        self.name = name

    async def add(
        self,
        item: Item,
    ) -> None:
        self.items.append(item)


def total(order):
    return sum(price_of(item) for item in order.items)
