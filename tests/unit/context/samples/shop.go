package shop

import (
	"fmt"
	prices "example.com/shop/prices"
)

const Limit = 10

var (
	open   = true
	closed = false
)

type Item struct {
	Name string
}

type Priced interface {
	Price() float64
}

func (i *Item) Price() float64 {
	return prices.Of(i.Name)
}

func Total(items []Priced) (sum float64) {
	for _, item := range items {
		sum += item.Price()
	}
	fmt.Println(sum)
	return sum
}
