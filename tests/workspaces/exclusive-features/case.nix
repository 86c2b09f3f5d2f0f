#
# build w.packages.api
mk:
mk {
  src = ./.;
  bins = [ "api" ];
}
