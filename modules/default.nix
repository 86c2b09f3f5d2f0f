# All modules; each also works alone.
{
  imports = [
    ./packages.nix
    ./stack
    ./cluster
    ./control-plane.nix
    ./agent.nix
    ./audit-anchor.nix
    ./network.nix
    ./floating
    ./telemetry
    ./monitoring
  ];
}
