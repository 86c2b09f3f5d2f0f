fn main() { println!("{}{}", held::NAME, hub::NAME) }
