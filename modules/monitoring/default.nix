# services.slipway.monitoring: one host that watches the others. It asks for their metrics, keeps them, and tells people
# what is wrong (docs/observability.md).
{ lib, ... }:
let
  inherit (lib) mkOption types;
in
{
  imports = [
    ../packages.nix
    ../telemetry
    ./hosts.nix
    ./prometheus.nix
    ./blackbox.nix
    ./rules.nix
    ./receivers.nix
    ./routes.nix
    ./alertmanager.nix
    ./secrets.nix
    ./site.nix
    ./grafana.nix
    ./logs
    ./assertions.nix
  ];

  options.services.slipway.monitoring = {
    enable = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = ''
        Whether this host watches others: Prometheus with alerts, Alertmanager, and requests to each domain from outside. It
        listens on 127.0.0.1 only; `domain` makes it reachable for people.
      '';
    };
    hosts = mkOption {
      type = types.lazyAttrsOf types.raw;
      default = { };
      example = lib.literalExpression "inputs.self.nixosConfigurations";
      description = ''
        The hosts to watch, as their flake has them. A new host is watched once this host has been rolled out again. Those
        with telemetry off are left out; this host is always among them.
      '';
    };
  };
}
