# services.slipway.telemetry: what every watched host tells of itself. Exporters listen on 127.0.0.1, `targets` says where,
# and the door lets the monitoring host in. One kind of target a file.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  cfg = config.services.slipway.telemetry;
in
{
  imports = [
    ../packages.nix
    ./targets.nix
    ./probes.nix
    ./processes.nix
    ./node.nix
    ./facts.nix
    ./postgres.nix
    ./redis.nix
    ./nginx.nix
    ./logs
    ./traces.nix
    ./door.nix
    ./assertions.nix
  ];

  options.services.slipway.telemetry.enable = mkOption {
    type = types.bool;
    default =
      config.services.slipway.monitoring.enable or false
      || cfg.door.address != null
      || cfg.logs.endpoint != null
      || cfg.logs.elasticsearch.endpoint != null;
    defaultText = lib.literalMD "whether somebody watches the host: monitoring on the host itself, `door.address`, or an endpoint of `logs`";
    example = true;
    description = ''
      Whether this host measures itself: the machine, its units, Postgres, Redis and nginx where they run, and all processes of
      its stacks. Everything listens on 127.0.0.1. The monitoring host comes in by `door`.
    '';
  };
}
