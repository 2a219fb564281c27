import { useState } from "react";
import { Order } from "./order";

interface Props {
  order: Order;
}

export function OrderView({ order }: Props) {
  const [open, setOpen] = useState(false);
  return (
    <p onClick={() => setOpen(!open)}>
      {order.name}
    </p>
  );
}

export const Empty = () => <p>Nothing</p>;
