#
# build [ w.packages.a w.packages.b ]
mk:
mk {
  src = ./.;
}
