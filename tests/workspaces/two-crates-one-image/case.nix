#
# build w.images.a
mk:
mk {
  src = ./.;
  images.a = {
    bins = [
      "api"
      "mig"
    ];
  };
}
