# A lock that lies elsewhere.
# build w.packages.api
mk:
mk {
  src = ./.;
  cargoLock = ./locks/Cargo.lock;
}
