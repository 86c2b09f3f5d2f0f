# services.slipway.monitoring.logs: the place where the lines of all hosts come together.
{
  imports = [
    ./store.nix
    ./door.nix
    ./opensearch.nix
  ];
}
