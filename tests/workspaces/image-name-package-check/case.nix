#
# build w.checks.rust-fmt
mk:
mk {
  src = ./.;
  images.rust-fmt = {
    bin = "api";
  };
}
