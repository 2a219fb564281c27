#include <vector>
#include "prices.hpp"

namespace shop {

using Basket = std::vector<Item>;

template <typename T>
class Order : public Base {
public:
    explicit Order(T name) : name_(name) {}
    void add(const Item& item);

private:
    T name_;
};

struct Item {
    int price = 0;
};

enum class State { Open, Paid };

}  // namespace shop

void shop::Order::add(const Item& item) {
    items.push_back(item);
}

int& counter() {
    static int count = 0;
    return count;
}
