# Nix cannot read this source file: it holds a NUL byte.
# build w.packages.api
mk:
mk {
  src = ./.;
  extraSources = [ ./src/main.rs ];
  exclude = [ ./data ];
}
