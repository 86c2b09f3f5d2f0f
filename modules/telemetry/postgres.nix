# Postgres, by postgres_exporter. Its role sees the server's counters and the names of databases, and no table of a stack.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.slipway.telemetry;
  cluster = import ../cluster/lib.nix { inherit config lib; };
  active = cfg.enable && (config.services.postgresql.enable || cluster.member);
  inherit (config.services.prometheus.exporters) postgres;
  port =
    if cluster.member then cluster.cfg.ports.postgres else config.services.postgresql.settings.port;
  psql = "${config.services.postgresql.finalPackage}/bin/psql --dbname=postgres --no-psqlrc --quiet";
  hardening = import ../../nix/lib/hardening.nix;
  listens = import ./listens.nix;
  quiet = import ./quiet.nix { inherit lib; };
  # Of the account and of the role: so the server knows it by the account alone (peer).
  name = "slipway-telemetry";
in
{
  config = lib.mkIf active {
    # Only its own look at the server, before any other line.
    services.postgresql.authentication = lib.mkOrder 590 ''
      local postgres "${name}" peer
      local all "${name}" reject
      host all "${name}" all reject
    '';
    users.users.${name} = {
      isSystemUser = true;
      group = name;
      description = "Reads Postgres' counters for Slipway's telemetry";
    };
    users.groups.${name} = { };
    services.prometheus.exporters.postgres = {
      enable = true;
      listenAddress = lib.mkDefault "127.0.0.1";
      user = name;
      group = name;
      dataSourceName = "user=${name} dbname=postgres host=/run/postgresql port=${toString port} sslmode=disable application_name=telemetry";
      extraFlags = [
        "--collector.long_running_transactions"
      ];
    };
    systemd.services.prometheus-postgres-exporter = quiet { memoryMiB = 64; };
    systemd.services.slipway-telemetry-role = {
      description = "Role of the telemetry in Postgres";
      wantedBy = [
        "multi-user.target"
        cluster.unit
      ]
      # A standby gets the role from the leader.
      ++ lib.optional cluster.member "slipway-cluster-setup.service";
      after = [ cluster.unit ];
      requires = [ cluster.unit ];
      path = [ config.services.postgresql.finalPackage ];
      environment.PGPORT = toString port;
      unitConfig.StartLimitIntervalSec = 0;
      serviceConfig = hardening { } // {
        Type = "oneshot";
        RemainAfterExit = true;
        User = "postgres";
        Group = "postgres";
        ExecCondition = lib.mkIf cluster.member (
          pkgs.writeShellScript "slipway-telemetry-leads" ''
            [ "$(${psql} -tAc 'SELECT pg_is_in_recovery()')" != t ]
          ''
        );
        ExecStart = "${psql} --set=role=${name} --file=${./postgres.sql}";
        # The server may still replay its archive.
        Restart = "on-failure";
        RestartSec = 5;
        RestartSteps = 5;
        RestartMaxDelaySec = 60;
        TimeoutStartSec = 60;
      };
    };
    services.slipway.telemetry.targets = [
      {
        job = "postgres";
        address = listens postgres;
      }
    ];
  };
}
