#
# build (w.packages // w.images).api
mk:
mk {
  src = ./.;
  images.api = {
    bin = "api";
  };
}
