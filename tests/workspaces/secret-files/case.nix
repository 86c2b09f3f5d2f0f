# Passwords and tokens lie beside the code, and the code names some of their files: none of them enters the store.
# build w.packages.api
mk:
mk {
  src = ./.;
}
