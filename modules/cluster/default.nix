# Postgres that survives the loss of any one of its hosts. nix/cluster has the configurations of the programs.
{
  imports = [
    ./options.nix
    ./certificate.nix
    ./etcd.nix
    ./patroni.nix
    ./setup.nix
    ./proxy.nix
    ./network.nix
    ./agent.nix
    ./telemetry.nix
    ./assertions.nix
  ];
}
