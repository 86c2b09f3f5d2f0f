use std::path::Path;

fn main() {
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let names = std::fs::read_to_string(above.join("names.txt")).unwrap();
    println!("cargo:rustc-env=NAMES={}", names.trim());
    let schema = above.parent().unwrap().join("part").join("schema");
    assert!(schema.join("a.json").exists());
}
