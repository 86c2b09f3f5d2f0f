# services.slipway.stacks.<name>: services and jobs (nix/stack), with what they need around them on a host. One concern a
# file; each adds its options to the same submodule and maps over the enabled stacks.
{
  imports = [
    ../packages.nix
    ../store.nix
    ./options.nix
    ./accounts.nix
    ./unique.nix
    ./listen.nix
    ./services.nix
    ./traces.nix
    ./jobs.nix
    ./roll.nix
    ./facts.nix
    ./assertions.nix
    ./ports.nix
    ./secrets.nix
    ./cache.nix
    ./cache-network.nix
    ./cache-sentinels.nix
    ./cache-cluster.nix
    ./proxy
    ./database
    ./backup
  ];
}
