fn main() {
    println!("{}", env!("NAMES"));
}
