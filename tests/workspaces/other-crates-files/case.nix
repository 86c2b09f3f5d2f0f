# crates that read files of others, and of the folders above them
# build (builtins.attrValues w.packages)
mk:
mk {
  src = ./.;
  crates = "all";
}
