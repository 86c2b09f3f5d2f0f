fn main() {
    let schema = std::fs::read_to_string("part/schema/a.json").unwrap();
    println!("cargo:rustc-env=SCHEMA={}", schema.trim());
}
