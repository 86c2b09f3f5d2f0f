# cargo's configuration names files that lie elsewhere: a linker, a program around the compiler, data, more configuration.
# build w.packages.api
mk:
mk {
  src = ./.;
}
