<?php

namespace Shop;

use Shop\Prices\PriceList;
use Countable;

require_once 'prices.php';

const LIMIT = 10;

interface Priced
{
    public function price(): float;
}

trait Named
{
}

final class Order implements Countable
{
    public function __construct(private string $name)
    {
    }

    public function count(): int
    {
        return count($this->items);
    }
}

function total(Order $order): float
{
    return array_sum($order->prices());
}
