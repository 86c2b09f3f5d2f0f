//! Reads `.env` when it runs, and is compiled with what lies beside other files of that kind.

const LIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../data/", "list.txt");

fn main() {
    let files = [".env", "config/.env", "../.env", LIST];
    println!("{} {files:?}", include_str!("../config/app.toml"));
}
