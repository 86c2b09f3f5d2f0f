# path dependency below the root is a member without being listed
# build w.packages.api
mk:
mk {
  src = ./.;
}
