# slipway-cluster-certificate.service: checks this member's certificate and gives it to the programs, at their start and when the
# files change. All but Sentinel take a new one without a restart. Files of the flake are checked by the build as well.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cluster = import ./lib.nix { inherit config lib; };
  inherit (cluster) cfg;
  option = "services.slipway.cluster";

  stacks = lib.attrNames cluster.redis;
  # What the check is told, at the build and on the host.
  told = {
    OPTION = option;
    AUTHORITY = "${cfg.authority}";
    CERTIFICATE = "${cfg.certificate}";
    ADDRESS = cluster.own.address;
    SERVER_NAME = cfg.serverName;
  };
  built =
    pkgs.runCommand "slipway-cluster-certificate-of-${cluster.name}"
      (told // { nativeBuildInputs = [ pkgs.openssl ]; })
      ''
        . ${./certificate-check.sh}
        touch $out
      '';

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
    runtimeEnv = told // {
      KEY = "${cfg.key}";
      CLUSTER = cfg.name;
      FOLDER = cluster.folder;
      ACCOUNTS = toString (
        [
          cluster.accounts.etcd
          cluster.accounts.postgres
        ]
        ++ lib.optional (stacks != [ ]) cluster.accounts.sentinel
        ++ map cluster.redisAccount stacks
      );
      RELOADED = toString ([ "slipway-patroni.service" ] ++ map (name: "redis-${name}.service") stacks);
      # It has no command for it. The others watch meanwhile, and who the primary is stands in its file.
      RESTARTED = toString (lib.optional (stacks != [ ]) "slipway-sentinel.service");
    };
    text = ''
      . ${./certificate-check.sh}
    ''
    + builtins.readFile ./certificate.sh;
  };
  inStore = path: lib.hasPrefix builtins.storeDir "${path}";
in
{
  config = lib.mkIf cluster.member {
    system.checks = lib.optional (inStore cfg.authority && inStore cfg.certificate) built;
    systemd.services.slipway-cluster-certificate = {
      description = "Certificate of this member of the cluster ${cfg.name}";
      wantedBy = [ "multi-user.target" ];
      unitConfig.StartLimitIntervalSec = 0;
      serviceConfig = import ../../nix/lib/hand-on.nix {
        script = lib.getExe script;
        inherit (cluster) folder;
        credentials = [ "key:${toString cfg.key}" ];
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
