use std::collections::HashMap;
mod prices;

const LIMIT: usize = 10;
static NAME: &str = "shop";
type Basket = Vec<Item>;

#[derive(Debug)]
pub struct Item {
    name: String,
}

pub enum State {
    Open,
    Paid(f64),
}

pub trait Priced {
    fn price(&self) -> f64;
}

impl Priced for Item {
    fn price(&self) -> f64 {
        prices::of(&self.name)
    }
}

pub fn total<T>(items: &[T]) -> f64
where
    T: Priced,
{
    items.iter().map(|item| item.price()).sum()
}

macro_rules! item {
    ($name:expr) => {
        Item { name: $name.into() }
    };
}
