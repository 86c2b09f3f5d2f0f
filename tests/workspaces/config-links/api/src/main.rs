fn main() { println!("{}", env!("GREETING")) }
