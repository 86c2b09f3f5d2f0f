#
# build w.packages.ffi
mk:
mk {
  src = ./.;
}
