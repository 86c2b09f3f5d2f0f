# The stacks' Postgres: one server a host, a role and a database a stack.
{
  imports = [
    ./host-options.nix
    ./options.nix
    ./network.nix
    ./certificate.nix
    ./server.nix
    ./rules.nix
    ./memory.nix
    ./schemas.nix
    ./setup.nix
    ./upgrade.nix
    ./assertions.nix
  ];
}
