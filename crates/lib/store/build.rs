//! Compiles the crate anew when a migration is added: the macro that embeds them cannot say so itself.

fn main() {
    // A build script talks to cargo on stdout.
    #![expect(clippy::print_stdout, reason = "this is how a build script answers")]
    println!("cargo:rerun-if-changed=migrations");
}
