# VictoriaLogs through nixpkgs' module, on 127.0.0.1 only, with its two bounds.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  contract = import ../../../nix/contract.nix;
  monitoring = config.services.slipway.monitoring;
  cfg = monitoring.logs;
  active = monitoring.enable && cfg.enable;
in
{
  options.services.slipway.monitoring.logs = {
    enable = mkOption {
      type = types.bool;
      default = monitoring.enable;
      defaultText = lib.literalExpression "config.services.slipway.monitoring.enable";
      example = false;
      description = "Whether this host keeps the logs of the watched hosts, in VictoriaLogs.";
    };
    retentionDays = mkOption {
      type = types.ints.between 1 3650;
      default = 30;
      example = 90;
      description = "Days that lines are kept. Older ones are deleted, and no longer taken.";
    };
    maxDiskGiB = mkOption {
      type = types.ints.between 1 1048576;
      default = 20;
      example = 200;
      description = ''
        The most disk that logs take. Beyond it the oldest days are deleted before their time, whole days at once, but never
        the last two.
      '';
    };
    localPort = mkOption {
      type = types.port;
      internal = true;
      readOnly = true;
      default = contract.ports.logLocal;
      description = "Where this host's own lines come in.";
    };
  };

  config = lib.mkIf active {
    services.victorialogs = {
      enable = true;
      listenAddress = "127.0.0.1:${toString contract.ports.logStore}";
      extraOptions = [
        "-retentionPeriod=${toString cfg.retentionDays}d"
        "-retention.maxDiskSpaceUsageBytes=${toString cfg.maxDiskGiB}GiB"
        # What a power cut may cost: lines are confirmed before they are on disk.
        "-inmemoryDataFlushInterval=1s"
        # Days that a shipper with a wrong clock makes up; more are refused.
        "-futureRetention=1d"
        "-loggerLevel=WARN"
      ];
    };
    systemd.services.victorialogs = {
      # nixpkgs' module gives up after five failures; the store must come back by itself.
      unitConfig.StartLimitIntervalSec = 0;
      serviceConfig = {
        MemoryMax = lib.mkDefault "1G";
        LimitCORE = 0;
        UMask = "0077";
      };
    };
    services.slipway.telemetry.targets = [
      {
        job = "logs";
        unit = "victorialogs";
        address = "127.0.0.1:${toString contract.ports.logStore}";
      }
    ];
  };
}
