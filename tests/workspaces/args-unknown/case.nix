#
# build w.packages.api
mk:
mk {
  src = ./.;
  packageArgs = _: {
    apii = {
      FOO = "1";
    };
  };
}
