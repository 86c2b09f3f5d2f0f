# slipway-disk-guard.service: a leader whose disk fills hands over to a standby that has room. nix/cluster/disk-guard.sh says
# how.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cluster = import ./lib.nix { inherit config lib; };
  inherit (cluster) cfg;
  inherit (import ../../nix/cluster) diskGuard;
  account = cluster.accounts.postgres;
  hardening = import ../../nix/lib/hardening.nix;
  unit = "slipway-disk-guard";
  script = import ../../nix/lib/shell-application.nix { inherit pkgs; } {
    name = unit;
    runtimeInputs = [
      pkgs.coreutils
      pkgs.curl
      pkgs.gnugrep
      pkgs.jq
    ];
    runtimeEnv = diskGuard.environment (
      cluster.common
      // {
        inherit (cfg) disk;
        files = cluster.of account // {
          data = config.services.postgresql.dataDir;
          # patroni.sh makes the folder.
          tags = "/run/slipway-patroni/conf/60-disk.yaml";
          operatorPassword = "/run/credentials/${unit}.service/operator";
        };
      }
    );
    text = diskGuard.script;
  };
in
{
  config = lib.mkIf (cluster.member && cfg.disk.lowMiB != 0) {
    systemd.services.${unit} = {
      description = "Hands over when the leader's disk fills, in the cluster ${cfg.name}";
      wantedBy = [ "multi-user.target" ];
      after = [ "slipway-patroni.service" ];
      unitConfig.StartLimitIntervalSec = 0;
      serviceConfig = hardening { addresses = [ cluster.own.address ]; } // {
        ExecStart = lib.getExe script;
        User = account;
        Group = account;
        LoadCredential = [ "operator:${toString cfg.operatorPasswordFile}" ];
        # Patroni's, which it keeps.
        RuntimeDirectory = "slipway-patroni";
        RuntimeDirectoryMode = "0755";
        RuntimeDirectoryPreserve = true;
        Restart = "always";
        RestartSec = 5;
      };
    };
  };
}
