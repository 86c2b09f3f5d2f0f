# A bench that only a nightly compiler takes.
# build w.checks.rust-clippy
mk:
mk {
  src = ./.;
}
