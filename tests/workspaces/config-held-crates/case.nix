# The repository holds its dependencies, as `cargo vendor` writes them: nothing is fetched.
# build w.packages.api
mk:
mk {
  src = ./.;
}
