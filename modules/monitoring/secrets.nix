# slipway-monitoring-secrets.service: names a secret that is missing or wrong before a program fails because of it.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.services.slipway.monitoring;
  checkSecrets = import ../../nix/lib/check-secrets.nix { inherit pkgs; };
  hardening = import ../../nix/lib/hardening.nix;
  programs = [
    "alertmanager.service"
    "prometheus.service"
  ]
  ++ lib.optional cfg.grafana.enable "grafana.service";
in
{
  options.services.slipway.monitoring.secrets = mkOption {
    type = types.listOf types.raw;
    internal = true;
    default = [ ];
    description = "Secrets of the monitoring host: { option, path }.";
  };

  config = lib.mkIf cfg.enable {
    services.slipway.monitoring.secrets =
      cfg.credentials
      ++ lib.optional (cfg.identity.key != null) {
        option = "services.slipway.monitoring.identity.key";
        path = cfg.identity.key;
      };

    systemd.services.slipway-monitoring-secrets = lib.mkIf (cfg.secrets != [ ]) {
      description = "Check of the secrets of the monitoring";
      # They start even if it fails, and again and again: a secret that appears later is found.
      wantedBy = [ "multi-user.target" ] ++ programs;
      before = programs;
      unitConfig.StartLimitIntervalSec = 0;
      serviceConfig = hardening { capabilities = [ "CAP_DAC_READ_SEARCH" ]; } // {
        # systemd can read secrets in any folder, so this unit must too.
        ProtectHome = "read-only";
        PrivateTmp = false;
        Type = "oneshot";
        ExecStart = checkSecrets "systemctl start slipway-monitoring-secrets.service" cfg.secrets;
      };
    };
  };
}
