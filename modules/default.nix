# All modules; each also works alone.
{
  imports = [
    ./packages.nix
    ./stack
    ./control-plane.nix
    ./agent.nix
    ./network.nix
    ./telemetry
    ./monitoring
  ];
}
