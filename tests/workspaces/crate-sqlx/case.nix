# stands for crate-level .sqlx
# build w.packages.api
mk:
mk {
  src = ./.;
}
