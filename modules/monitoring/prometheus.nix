# Prometheus: what is asked how often, how much is kept, and who hears of alerts.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.services.slipway.monitoring;
  yaml = pkgs.formats.yaml { };
  scrapes = import ../../nix/monitoring/scrapes.nix;
  server = config.services.prometheus;
  address = "127.0.0.1:${toString server.port}";
  # Where the site has it; the same on a host without one.
  path = "/prometheus";
  keyCredential = "identity-key";

  client = {
    inherit (cfg.identity) authority certificate;
    key = "/run/credentials/prometheus.service/${keyCredential}";
  };
  targetsOf =
    host:
    scrapes.targets (
      cfg.scrape
      // {
        host = host.name;
        inherit (host) targets door;
        inherit client;
      }
    )
    # Since 3.0 it refuses programs that do not say what they answer with, and earlier ones do not know this.
    // lib.optionalAttrs (lib.versionAtLeast (server.package.version or "2") "3") {
      fallback_scrape_protocol = "PrometheusText0.0.4";
    };
in
{
  options.services.slipway.monitoring = {
    scrape = {
      intervalSeconds = mkOption {
        type = types.ints.between 5 300;
        default = scrapes.defaults.intervalSeconds;
        example = 30;
        description = "How often each target is asked, and each rule is evaluated. Beyond 60, alerts come minutes later.";
      };
      samplesPerTarget = mkOption {
        type = types.ints.positive;
        default = scrapes.defaults.samplesPerTarget;
        example = 100000;
        description = "Series that one target may have. A target with more counts as down, so that it cannot fill the disk.";
      };
    };
    retention = {
      days = mkOption {
        type = types.ints.positive;
        default = 30;
        example = 90;
        description = "Days that metrics are kept.";
      };
      sizeMiB = mkOption {
        type = types.ints.positive;
        default = 10240;
        example = 51200;
        description = ''
          Mebibytes that metrics may take on the disk; the oldest go first. Those of the last three hours always stay, so
          leave some more free.
        '';
      };
    };
    memoryMiB = mkOption {
      type = types.ints.positive;
      default = 2048;
      example = 8192;
      description = "Memory of Prometheus, in MiB. A hundred hosts with small stacks need about this much.";
    };
    addresses = mkOption {
      type = types.attrsOf types.str;
      internal = true;
      default = { };
      description = "Where this host's own programs find Prometheus and the others.";
    };
  };

  config = lib.mkIf cfg.enable {
    services.slipway.monitoring.addresses.prometheus = "http://${address}${path}";
    services.slipway.telemetry.targets = [
      {
        job = "prometheus";
        inherit address;
        path = "${path}/metrics";
      }
    ];

    services.prometheus = {
      enable = true;
      listenAddress = "127.0.0.1";
      webExternalUrl = "${cfg.url}${path}/";
      # A new host is asked without a restart.
      enableReload = lib.mkDefault true;
      # The keys are on the host, where the build cannot look.
      checkConfig = "syntax-only";
      retentionTime = "${toString cfg.retention.days}d";
      extraFlags = [ "--storage.tsdb.retention.size=${toString cfg.retention.sizeMiB}MB" ];
      globalConfig = {
        scrape_interval = "${toString cfg.scrape.intervalSeconds}s";
        evaluation_interval = "${toString cfg.scrape.intervalSeconds}s";
      };
      scrapeConfigs = map targetsOf cfg.watched;
      # Their build runs `promtool check rules`.
      ruleFiles = map (yaml.generate "rules.yaml") cfg.ruleFiles;
    };

    systemd.services.prometheus = {
      # A key that comes late is found then.
      startLimitIntervalSec = lib.mkDefault 0;
      serviceConfig = {
        RestartSec = lib.mkDefault 1;
        # The program itself keeps below this.
        MemoryMax = lib.mkDefault "${toString cfg.memoryMiB}M";
        LoadCredential = lib.optional (cfg.identity.key != null) "${keyCredential}:${cfg.identity.key}";
      };
    };
  };
}
