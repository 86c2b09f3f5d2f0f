# cargo's configuration names files that lie elsewhere: a linker, a program around the compiler, data, more configuration. What
# the linker's script reads is not named.
# build w.packages.api
mk:
mk {
  src = ./.;
  dependencySources = [ ./tools/common.sh ];
}
