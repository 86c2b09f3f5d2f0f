#[path = "../../../other/start.rs"]
mod start;
include!("../../../made/made.rs");

const JOINED: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/..", "/..", "/words", "/a.txt"));

macro_rules! raw {
    ($name:literal) => {
        include_str!(concat!("../../../raw/", $name, ".txt"))
    };
}

macros::template!();

fn main() {
    println!("{JOINED} {MADE} {TEMPLATE} {} {}", start::first(), raw!("b"));
}
