# Everything; each line is of use alone as well.
{
  imports = [
    ./packages.nix
    ./stack
    ./control-plane.nix
    ./agent.nix
    ./network.nix
  ];
}
