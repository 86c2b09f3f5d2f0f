pub const NAME: &str = "held";
