# Programs whose features are turned on by what other crates ask for: by a default feature, an optional dependency that is on,
# a chain of crates, a renamed dependency, and not by a weak one that is off.
# build w.packages.b
mk:
mk {
  src = ./.;
}
