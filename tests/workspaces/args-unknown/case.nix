#
# build w.packages.api
mk:
mk {
  src = ./.;
  packageArgs = pkgs: {
    apii = {
      FOO = "1";
    };
  };
}
