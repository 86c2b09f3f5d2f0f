//! Compiles the crate again for what the macros that embed migrations and describe queries cannot say themselves.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
    // `./dev sqlx` has the queries described into a folder of its own.
    println!("cargo:rerun-if-env-changed=SQLX_OFFLINE_DIR");
}
