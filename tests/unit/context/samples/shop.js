import { priceOf } from "./prices.js";
const fs = require("node:fs");
export * from "./items.js";

const LIMIT = 10;
export const total = (order) => {
  const sum = order.items.reduce((a, b) => a + priceOf(b), 0);
  return sum;
};

export default class Order extends Base {
  constructor(name) {
    super();
    this.name = name;
  }

  async add(item) {
    this.items.push(item);
  }
}

function* each(order) {
  yield* order.items;
}

export async function load() {
  return (await import("./store.js")).load();
}
