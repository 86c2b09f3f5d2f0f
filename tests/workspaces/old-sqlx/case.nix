# sqlx before 0.7 has the descriptions of queries in one file of the workspace
# build w.packages.api
mk:
mk {
  src = ./.;
}
