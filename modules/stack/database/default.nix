# The stacks' Postgres: one server a host, a role and a database a stack.
{
  imports = [
    ./options.nix
    ./network.nix
    ./server.nix
    ./memory.nix
    ./setup.nix
    ./upgrade.nix
    ./assertions.nix
  ];
}
