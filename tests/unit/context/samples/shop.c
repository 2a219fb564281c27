#include <stdio.h>
#include "prices.h"

#define LIMIT 10
#define TWICE(x) ((x) * 2)

typedef unsigned long price_t;

struct item {
    char name[20];
};

enum state { OPEN, PAID };

static price_t sum_of(const struct item *items, int count);

/* The first one. */
struct item *first_of(struct item *items)
{
    return items;
}

int main(void) {
    printf("%lu\n", sum_of(0, LIMIT));
    return 0;
}
