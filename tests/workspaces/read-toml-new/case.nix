# Manifests and configuration in the words of TOML 1.1.
# build w.packages.api
mk:
mk {
  src = ./.;
}
