fn main() { println!("{} {}", include_str!(env!("DATA")), env!("MORE")) }
