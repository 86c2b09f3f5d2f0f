# The lock and cargo's configuration are symbolic links.
# build w.packages.api
mk:
mk {
  src = ./.;
}
