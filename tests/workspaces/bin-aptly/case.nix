#
# build w.checks.img
mk:
mk {
  src = ./.;
  images.img = {
    bin = "aptly";
  };
}
