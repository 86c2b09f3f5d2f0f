# slipway-cluster-setup.service: on whichever member leads, sets the roles of the cluster and what its members share. It runs at
# boot, after a switch and when this member's role changes, so the configuration of the one that leads holds.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cluster = import ./lib.nix { inherit config lib; };
  inherit (cluster) cfg;
  pure = import ../../nix/cluster;
  database = import ../stack/database/lib.nix { inherit config lib; };
  hardening = import ../../nix/lib/hardening.nix;
  postgres = config.services.postgresql;
  files = cluster.of cluster.accounts.postgres;

  # Patroni merges it. A parameter that is no more in the configuration gets its default back.
  shared = pure.dynamic.configuration {
    inherit (cluster.defaults) lag times wal;
    inherit (cfg) synchronous;
    settings = (pure.dynamic.split postgres.settings).shared;
  };
  configuration = lib.recursiveUpdate shared {
    postgresql.parameters = lib.genAttrs (lib.filter (
      name: !(shared.postgresql.parameters ? ${name})
    ) pure.dynamic.names) (_: null);
  };
  script = import ../../nix/lib/shell-application.nix { inherit pkgs; } {
    name = "slipway-cluster-setup";
    runtimeInputs = [
      pkgs.coreutils
      pkgs.curl
      postgres.finalPackage
    ];
    runtimeEnv = {
      PGPORT = toString cfg.ports.postgres;
      REPLICATION = cluster.defaults.roles.replication;
      REWIND = cluster.defaults.roles.rewind;
      OPERATOR = cluster.defaults.operator;
      STATEMENTS = "${./setup.sql}";
      CONFIGURATION = "${pkgs.writeText "slipway-cluster.json" (builtins.toJSON configuration)}";
      URL = "https://${cluster.hostPort cluster.own.address cfg.ports.patroni}/config";
      AUTHORITY = files.authority;
      CERTIFICATE = files.certificate;
      KEY = files.key;
    };
    text = ''
      . ${./leads.sh}
      . ${../../nix/cluster/operator.sh}
    ''
    + builtins.readFile ./setup.sh;
  };
in
{
  config = lib.mkIf cluster.member {
    systemd.services.slipway-cluster-setup = {
      description = "Roles and common settings of the cluster ${cfg.name}";
      wantedBy = [ "multi-user.target" ];
      after = [ "slipway-patroni.service" ];
      # Roles and databases of stacks, with the configuration of the one that leads.
      wants = map (name: "${name}-database-leader.service") (lib.attrNames database.local);
      unitConfig.StartLimitIntervalSec = 0;
      serviceConfig = hardening { addresses = [ cluster.own.address ]; } // {
        Type = "oneshot";
        ExecStart = lib.getExe script;
        User = "postgres";
        Group = "postgres";
        LoadCredential = [
          "replication:${toString cfg.replicationPasswordFile}"
          "rewind:${toString cfg.rewindPasswordFile}"
          "operator:${toString cfg.operatorPasswordFile}"
        ];
        Restart = "on-failure";
        RestartSec = 5;
        TimeoutStartSec = 300;
      };
    };
    systemd.paths.slipway-cluster-setup = {
      description = "This member's role in the cluster ${cfg.name} changes";
      wantedBy = [ "multi-user.target" ];
      pathConfig.PathChanged = "/run/slipway-patroni/role";
    };
  };
}
