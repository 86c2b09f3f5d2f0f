# Tests of the pure functions: a list of what is wrong, which must be empty. Needs no nixpkgs:
#   nix-instantiate --eval --strict nix/lib/tests
let
  inherit (builtins)
    concatLists
    concatMap
    map
    toJSON
    ;

  # { name, got, want } -> a sentence if they differ.
  verdict =
    {
      name,
      got,
      want,
    }:
    if got == want then [ ] else [ "${name}: got ${toJSON got}, want ${toJSON want}" ];

  suites = [
    ./paths.nix
    ./toml.nix
    ./lockfile.nix
    ./config.nix
    ./workspace.nix
    ./selection.nix
    ./code.nix
    ./safety.nix
    ./skeleton.nix
    ./arguments.nix
    ./image-arguments.nix
    ./yaml.nix
    ./oci.nix
    ./contract.nix
    ./lock.nix
    ../../monitoring/cases.nix
    ../../cluster/cases.nix
  ];

  # A suite without cases would pass for ever.
  run =
    file:
    let
      cases = import file;
    in
    if cases == [ ] then [ "${toString file}: has no cases" ] else concatMap verdict cases;
in
concatLists (map run suites)
