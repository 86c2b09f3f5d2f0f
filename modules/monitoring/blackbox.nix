# Requests to every route of every host, from here: whether it answers, how fast, and the days of its certificate.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.services.slipway.monitoring;
  scrapes = import ../../nix/monitoring/scrapes.nix;
  exporter = config.services.prometheus.exporters.blackbox;
  address = "127.0.0.1:${toString exporter.port}";
in
{
  options.services.slipway.monitoring.probes = {
    enable = mkOption {
      type = types.bool;
      default = true;
      example = false;
      description = "Whether this host sends requests to the public domains of the watched hosts.";
    };
    authority = mkOption {
      type = types.nullOr types.path;
      default = null;
      example = "/etc/slipway/fleet-ca.pem";
      description = "A PEM file with the authority of the domains' certificates; null means those that the system trusts.";
    };
  };

  config = lib.mkIf (cfg.enable && cfg.probes.enable) {
    services.slipway.telemetry.targets = [
      {
        job = "blackbox";
        inherit address;
      }
    ];

    services.prometheus = {
      exporters.blackbox = {
        enable = true;
        listenAddress = "127.0.0.1";
        # Otherwise each request leaves seven lines, which is 40,000 a day for each route. One that fails still leaves its cause.
        extraFlags = [ "--log.prober=warn" ];
        configFile = (pkgs.formats.yaml { }).generate "blackbox.yaml" (
          import ../../nix/monitoring/blackbox.nix { inherit (cfg.probes) authority; }
        );
      };
      scrapeConfigs = map (
        host:
        scrapes.probes (
          cfg.scrape
          // {
            host = host.name;
            inherit (host) probes;
            exporter = address;
          }
        )
      ) (lib.filter (host: host.probes != [ ]) cfg.watched);
    };
  };
}
