#
# build w.checks.rust-fmt
mk:
mk {
  src = ./.;
}
