# slipway-cluster-certificate.service: checks this member's certificate and gives it to etcd and to Postgres, at their start
# and when the files change. Both take a new one without a restart.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cluster = import ./lib.nix { inherit config lib; };
  inherit (cluster) cfg;
  hardening = import ../../nix/lib/hardening.nix;
  option = "services.slipway.cluster";

  script = import ../../nix/lib/shell-application.nix { inherit pkgs; } {
    name = "slipway-cluster-certificate";
    runtimeInputs = [
      pkgs.coreutils
      pkgs.gnugrep
      pkgs.gnused
      pkgs.diffutils
      pkgs.openssl
      config.systemd.package
    ];
    runtimeEnv = {
      OPTION = option;
      AUTHORITY = "${cfg.authority}";
      CERTIFICATE = "${cfg.certificate}";
      KEY = "${cfg.key}";
      ADDRESS = cluster.own.address;
      SERVER_NAME = cfg.serverName;
      FOLDER = cluster.folder;
      ACCOUNTS = lib.concatStringsSep " " (lib.attrValues cluster.accounts);
      READERS = "slipway-patroni.service";
    };
    text = builtins.readFile ./certificate.sh;
  };
  inStore = path: lib.hasPrefix builtins.storeDir "${path}";
in
{
  config = lib.mkIf cluster.member {
    systemd.services.slipway-cluster-certificate = {
      description = "Certificate of this member of the cluster ${cfg.name}";
      wantedBy = [ "multi-user.target" ];
      unitConfig.StartLimitIntervalSec = 0;
      serviceConfig =
        # Its files belong to two accounts.
        hardening {
          capabilities = [ "CAP_CHOWN" ];
          systemCalls = [ "@chown" ];
        }
        // {
          Type = "oneshot";
          RemainAfterExit = true;
          ExecStart = lib.getExe script;
          LoadCredential = [ "key:${toString cfg.key}" ];
          RuntimeDirectory = baseNameOf cluster.folder;
          RuntimeDirectoryMode = "0755";
          RuntimeDirectoryPreserve = true;
          # The other file of the pair, or a mount, may be a moment late.
          Restart = "on-failure";
          RestartSec = 5;
          TimeoutStartSec = 60;
        };
    };
    systemd.paths.slipway-cluster-certificate = {
      description = "A new certificate for the cluster";
      wantedBy = [ "multi-user.target" ];
      pathConfig = {
        Unit = "slipway-cluster-certificate-again.service";
        PathChanged =
          map toString (
            lib.filter (path: !inStore path) [
              cfg.authority
              cfg.certificate
            ]
          )
          ++ [ (toString cfg.key) ];
      };
    };
    # A path starts no unit that is active.
    systemd.services.slipway-cluster-certificate-again = {
      description = "A new certificate for the cluster";
      serviceConfig = {
        Type = "oneshot";
        ExecStart = "${config.systemd.package}/bin/systemctl --no-block restart slipway-cluster-certificate.service";
      };
    };
  };
}
