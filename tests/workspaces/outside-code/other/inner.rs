pub fn byte() -> u8 {
    include_bytes!("byte.dat")[0]
}
