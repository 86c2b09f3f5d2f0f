#
# build [ w.checks.img w.images.img ]
mk:
mk {
  src = ./.;
  images.img = {
    bin = "api";
  };
}
