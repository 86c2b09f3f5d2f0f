# services.slipway.stacks.<name>: an api and a worker that keep the settings contract (docs/settings.md), with what they
# need around them. One concern a file; each adds its options to the same submodule and maps over the enabled stacks.
{
  imports = [
    ../packages.nix
    ../store.nix
    ./options.nix
    ./processes.nix
    ./services.nix
    ./migrate.nix
    ./roll.nix
    ./facts.nix
    ./assertions.nix
    ./ports.nix
    ./secrets.nix
    ./cache.nix
    ./cache-network.nix
    ./proxy
    ./database
    ./backup
  ];
}
