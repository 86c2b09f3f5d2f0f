#
# build (builtins.attrValues w.packages)
mk:
mk {
  src = ./.;
}
