# The server: socket only unless a stack asks for the network, checksums on, statements counted.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  database = import ./lib.nix { inherit config lib; };
  inherit (database) cluster databases server;
  cfg = config.services.postgresql;
  # The version of the running server, wherever it was chosen.
  major = lib.toInt (lib.versions.major cfg.package.version);

  # Since 25.11 the server wants a target that requires it. So systemd starts one that failed again at once instead of
  # after RestartSec, several times a second.
  pause = pkgs.writeShellScript "slipway-database-pause" ''
    [ "$SERVICE_RESULT" = success ] || exec ${pkgs.coreutils}/bin/sleep 2
  '';
in
{
  config = lib.mkIf database.here {
    services.postgresql = {
      # In a cluster Patroni runs it, with what is said here.
      enable = !cluster.member;
      package = lib.mkOverride 900 server.package;
      extensions = packages: lib.concatMap (one: one.extensions packages) databases;
      initdbArgs = [
        # A bad sector is an error of the query that meets it, not wrong data.
        "--data-checksums"
        "--encoding=UTF8"
        "--no-locale"
      ]
      # Sorted by Postgres itself: a new libc never puts the order of an index out of date.
      ++ lib.optionals (major >= 17) [
        "--locale-provider=builtin"
        "--builtin-locale=C.UTF-8"
      ];
      settings = lib.mkMerge [
        { shared_preload_libraries = [ "pg_stat_statements" ]; }
        (lib.mapAttrs (_: lib.mkDefault) {
          max_connections = server.maxConnections;
          "pg_stat_statements.track" = "top";
          track_io_timing = true;
          # Plans of short queries gain nothing by it, and without it memory need never be writable and executable.
          jit = "off";
          wal_level = "replica";
          wal_compression = "lz4";
          checkpoint_timeout = "15min";
          max_wal_size = "4GB";
          # For SSDs; the default suits a hard disk of the year 2000.
          random_page_cost = 1.1;
          log_checkpoints = true;
          log_lock_waits = true;
          log_temp_files = 10240;
          log_autovacuum_min_duration = "1s";
          log_line_prefix = "[%p] %q%u@%d ";
          timezone = "UTC";
          log_timezone = "UTC";
          password_encryption = "scram-sha-256";
          # A process that forgot its transaction holds back every vacuum.
          idle_in_transaction_session_timeout = "10min";
          # A statement without a client ends, and its locks with it.
          client_connection_check_interval = "5s";
        })
        (lib.mapAttrs (_: lib.mkOverride 90) server.settings)
      ];
    };
    systemd.services = lib.mkIf (!cluster.member) {
      postgresql = {
        # NixOS allows five starts in ten minutes, including those of switches and people; then the server stays down. Its own
        # value is no default, so this one is stronger; a host's mkForce still wins.
        unitConfig.StartLimitIntervalSec = lib.mkOverride 90 0;
        # Otherwise an empty cluster would start beside the data of a host's earlier version, and all would seem lost.
        preStart = lib.mkBefore ''
          if [ ! -e ${cfg.dataDir}/PG_VERSION ]; then
            for old in /var/lib/postgresql/*/PG_VERSION; do
              [ -e "$old" ] || continue
              echo "there is no cluster in ${cfg.dataDir}, and there is one in ''${old%/PG_VERSION}: an empty cluster is not begun beside it" >&2
              echo "${
                if server.upgradeFrom == null then
                  "set services.slipway.database.package to its version; services.slipway.database.upgradeFrom then upgrades it"
                else
                  "run slipway-pg-upgrade as root"
              }; to begin anew, move it away" >&2
              exit 1
            done
          fi
        '';
        serviceConfig = {
          # The replay after a crash, or of an archive, has no bound; if it is killed, it starts again.
          TimeoutStartSec = "infinity";
          # The checkpoint at the end writes what is in memory; ended midway, the next start replays it.
          TimeoutStopSec = "10min";
          Restart = lib.mkDefault "always";
          RestartSec = lib.mkDefault 2;
          ExecStopPost = lib.mkIf (config.systemd.targets ? postgresql) [ "${pause}" ];
          # When memory runs out, the kernel kills a process of the stack before the database.
          OOMScoreAdjust = lib.mkDefault (-500);
          # A dump would hold rows and passwords.
          LimitCORE = lib.mkDefault 0;
        };
      };
    };
  };
}
