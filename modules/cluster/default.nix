# Postgres that survives the loss of any one of its hosts. nix/cluster has the configurations of the programs.
{
  imports = [
    ./options.nix
    ./redis-options.nix
    ./certificate.nix
    ./etcd.nix
    ./patroni.nix
    ./disk-guard.nix
    ./setup.nix
    ./proxy.nix
    ./redis.nix
    ./network.nix
    ./agent.nix
    ./telemetry.nix
    ./assertions.nix
  ];
}
