pub fn query() {}
