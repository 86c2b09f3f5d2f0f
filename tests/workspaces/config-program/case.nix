# cargo's configuration names a program that lies beside it.
# build w.packages.api
mk:
mk {
  src = ./.;
}
