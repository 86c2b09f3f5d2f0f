#[cfg(feature = "loud")]
pub fn hello() -> &'static str {
    "HELLO"
}
