fn main() { println!("{} {}", lib::hello(), env!("GREETING")) }
