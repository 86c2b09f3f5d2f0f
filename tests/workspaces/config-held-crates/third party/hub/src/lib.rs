pub const NAME: &str = "hub";
