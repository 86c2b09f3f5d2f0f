# What a stack is, apart from where it runs: option modules without NixOS. The modules of NixOS add to the same submodule
# what only a host has. `evaluate` gives the same description to the renderers of compose and Kubernetes.
#
#   modules                         for types.submodule, or lib.evalModules
#   evaluate { lib, name, stack }   `config`, which throws its `problems` where it has any
rec {
  modules = [
    ./checks.nix
    ./shared.nix
    ./services.nix
    ./jobs.nix
    ./presets.nix
    ./domains.nix
    ./proxy.nix
    ./database.nix
    ./cache.nix
    ./renamed.nix
  ];

  evaluate =
    {
      lib,
      name,
      stack,
    }:
    let
      inherit
        (lib.evalModules {
          modules = modules ++ [
            { _module.args = { inherit name; }; }
            stack
          ];
        })
        config
        ;
      problems = map (one: one.message) (lib.filter (one: !one.assertion) config.assertions);
    in
    {
      inherit problems;
      config =
        if problems == [ ] then
          lib.showWarnings (map (warning: "stack ${name}: ${warning}") config.warnings) config
        else
          throw "stack ${name}: ${lib.concatStringsSep "; " problems}";
    };
}
