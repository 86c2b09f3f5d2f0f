#
# build w.packages.api
mk:
mk {
  src = ./.;
  profile = "dist";
  packageArgs = _: {
    api = {
      env.FOO = "1";
    };
  };
}
