package shop;

import java.util.List;
import static shop.Prices.priceOf;

/** What somebody wants. */
public final class Order extends Base {
    private static final int LIMIT = 10;

    public Order(String name) {
        super(name);
    }

    @Override
    public double total(List<Item> items) {
        double sum = 0;
        for (Item item : items) {
            sum += priceOf(item);
        }
        return sum;
    }
}

interface Priced {
    double price();
}

enum State { OPEN, PAID }

record Item(String name) {
}
