# Code outside of its crate, with modules and files beside it, and paths that are put together.
# build w.packages.api
mk:
mk {
  src = ./.;
}
