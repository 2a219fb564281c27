import type { Item } from "./items";

export interface Priced {
  price: number;
}

export type Basket = Item[];

enum State {
  Open,
  Paid,
}

export abstract class Order<T extends Priced> {
  private items: T[] = [];

  add(item: T): void {
    this.items.push(item);
  }
}

namespace shop {
  export function total(order: Order<Priced>): number {
    return 0;
  }
}

export const LIMIT: number = 10;
