# Where this host's metrics are. The monitoring host reads this list from the flake, so nobody repeats it there.
{ lib, ... }:
let
  inherit (lib) mkOption types;

  target =
    { config, ... }:
    {
      options = {
        job = mkOption {
          type = types.str;
          example = "smartctl";
          description = "What kind of program it is: the label `job`.";
        };
        unit = mkOption {
          type = types.nullOr types.str;
          default = null;
          example = "shop-web-1";
          description = "Which one of its kind: the label `unit`. Null where a host has one at most.";
        };
        address = mkOption {
          type = types.str;
          example = "127.0.0.1:9633";
          description = "Where it listens on this host.";
        };
        path = mkOption {
          type = types.str;
          default = "/metrics";
          example = "/internal/metrics";
          description = "The path of its metrics.";
        };
        params = mkOption {
          type = types.attrsOf types.str;
          default = { };
          example = {
            target = "unix:///run/redis-shop/redis.sock";
          };
          description = "The query that goes with the path.";
        };
        intervalSeconds = mkOption {
          type = types.nullOr types.ints.positive;
          default = null;
          example = 60;
          description = "Seconds from one scrape to the next. Null: as the monitoring host does by default.";
        };
        labels = mkOption {
          type = types.attrsOf types.str;
          default = { };
          example = {
            stack = "shop";
          };
          description = "Further labels of all its metrics.";
        };
        fleet = mkOption {
          type = types.bool;
          default = false;
          example = true;
          description = ''
            Whether it is believed what it says of rollouts and of other hosts, as workers of the control plane are. Of all
            other targets such metrics are dropped.
          '';
        };
        doorPath = mkOption {
          type = types.str;
          internal = true;
          readOnly = true;
          default = "/${config.job}" + lib.optionalString (config.unit != null) "/${config.unit}";
          description = "Where the door leads to it.";
        };
      };
    };
in
{
  options.services.slipway.telemetry.targets = mkOption {
    type = types.listOf (types.submodule target);
    default = [ ];
    example = [
      {
        job = "smartctl";
        address = "127.0.0.1:9633";
      }
    ];
    description = ''
      What is scraped on this host. Stacks, exporters, agent and backups are in it by being there; add exporters of your own.
      The monitoring host reads it and gives each one the labels `host`, `job`, `unit` and `instance`.
    '';
  };
}
