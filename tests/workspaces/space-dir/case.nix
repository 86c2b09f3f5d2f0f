#
# build w.packages.api
mk:
mk {
  src = ./.;
}
