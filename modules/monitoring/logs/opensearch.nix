# OpenSearch on the monitoring host, for teams that search their logs there: nixpkgs' own modules, behind the door of the logs.
{
  config,
  lib,
  options,
  ...
}:
let
  inherit (lib) mkOption types;
  contract = import ../../../nix/contract.nix;
  monitoring = config.services.slipway.monitoring;
  cfg = monitoring.logs.opensearch;
  withDashboards = options.services ? opensearch-dashboards;
  option = "services.slipway.monitoring.logs.opensearch";
in
{
  options.services.slipway.monitoring.logs.opensearch = {
    enable = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = ''
        Whether this host also runs OpenSearch, which takes a gigabyte of memory. Hosts send to it through the door, with
        `telemetry.logs.elasticsearch.endpoint` at `https://…:9444/opensearch`. This host's own lines go there by themselves.
      '';
    };
    dashboards = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Whether OpenSearch Dashboards run beside it, on 127.0.0.1, where nixpkgs has a module for them.";
    };
    heapMiB = mkOption {
      type = types.ints.between 256 31744;
      default = 512;
      example = 4096;
      description = "Memory of OpenSearch's Java heap. The machine needs about twice as much for it.";
    };
  };

  config = lib.mkIf (monitoring.enable && monitoring.logs.enable && cfg.enable) {
    assertions = [
      {
        assertion = !cfg.dashboards || withDashboards;
        message = "${option}.dashboards needs services.opensearch-dashboards, which this nixpkgs does not have: leave it off and take Grafana, or import a module with that name.";
      }
    ];
    services = {
      opensearch = {
        enable = true;
        settings = {
          "network.host" = lib.mkDefault "127.0.0.1";
          "http.port" = lib.mkDefault contract.ports.opensearch;
          "discovery.type" = lib.mkDefault "single-node";
        };
        extraJavaOptions = [
          "-Xms${toString cfg.heapMiB}m"
          "-Xmx${toString cfg.heapMiB}m"
        ];
      };
      slipway.telemetry.logs.elasticsearch.endpoint = lib.mkDefault "http://127.0.0.1:${
        toString config.services.opensearch.settings."http.port"
      }";
    }
    // lib.optionalAttrs withDashboards {
      opensearch-dashboards.enable = lib.mkIf cfg.dashboards true;
    };
  };
}
