fn main() {
    println!("{} {}", env!("SCHEMA"), include_str!("../part/words.txt"));
}
