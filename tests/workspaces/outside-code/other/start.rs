mod inner;

pub fn first() -> u8 {
    inner::byte()
}
