#
# build w.checks.rust-clippy
mk:
mk {
  src = ./.;
}
