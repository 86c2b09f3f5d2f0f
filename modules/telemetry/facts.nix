# What alerts and dashboards ask of a NixOS host and no exporter knows: which system runs, whether it is the boot default, and
# whether the kernel is an older one. Written whenever one of these changes.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.slipway.telemetry;
  hardening = import ../../nix/lib/hardening.nix;
  folder = "slipway-telemetry";
  profile = "/nix/var/nix/profiles/system";

  script = import ../../nix/lib/shell-application.nix { inherit pkgs; } {
    name = "slipway-telemetry-facts";
    runtimeInputs = [ pkgs.coreutils ];
    text = builtins.readFile ./facts.sh;
  };
in
{
  config = lib.mkIf cfg.enable {
    systemd.services.slipway-telemetry-facts = {
      description = "Facts of this system for its metrics";
      wantedBy = [ "multi-user.target" ];
      unitConfig.StartLimitIntervalSec = 0;
      serviceConfig = hardening { capabilities = [ ]; } // {
        Type = "oneshot";
        ExecStart = "${lib.getExe script} /run/${folder}/system.prom";
        RuntimeDirectory = folder;
        RuntimeDirectoryPreserve = true;
        UMask = "0022";
      };
    };
    systemd.paths.slipway-telemetry-facts = {
      description = "Another system, or another boot default";
      wantedBy = [ "multi-user.target" ];
      pathConfig.PathChanged = [
        "/run/current-system"
        profile
      ];
    };
    services.prometheus.exporters.node.extraFlags = [ "--collector.textfile.directory=/run/${folder}" ];
  };
}
