//! What a person reads: standard output for results, standard error for the rest.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is where a command-line tool prints"
)]

/// One line of progress.
pub fn say(line: &str) {
    eprintln!("{line}");
}

/// One line of the result.
pub fn print(line: &str) {
    println!("{line}");
}
