# Continuous archiving with pgBackRest: the server hands over each finished segment of its WAL.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  backup = import ./lib.nix { inherit config lib; };
  inherit (backup) archived stanza;
  cfg = config.services.postgresql;
  inherit ((lib.head (lib.attrValues archived)).backup) pitr;

  lines = lib.mapAttrsToList (key: value: "${key}=${value}");
  global = {
    repo1-path = toString pitr.repository;
    # Whole backups are kept for so long that every second of the days before can be restored.
    repo1-retention-full-type = "time";
    repo1-retention-full = toString pitr.keepDays;
    # Many small files of a young database become few.
    repo1-bundle = "y";
    compress-type = "lz4";
    process-max = toString pitr.processes;
    # The server's and the backups' units each have a /tmp of their own, so not there.
    lock-path = "${toString pitr.repository}/lock";
    log-path = "/var/log/pgbackrest";
    log-level-file = "warn";
    # A base backup begins at once instead of with the next checkpoint.
    start-fast = "y";
    archive-timeout = "60";
  }
  // pitr.settings;
in
{
  config = lib.mkIf (archived != { }) {
    environment.etc."pgbackrest/pgbackrest.conf".text = lib.concatLines (
      [ "[global]" ]
      ++ lines global
      ++ [
        ""
        "[${stanza}]"
        "pg1-path=${cfg.dataDir}"
        "pg1-port=${toString cfg.settings.port}"
        "pg1-socket-path=/run/postgresql"
        "pg1-user=postgres"
      ]
    );
    environment.systemPackages = [ pkgs.pgbackrest ];
    services.postgresql.settings = {
      archive_mode = "on";
      archive_command = "${lib.getExe pkgs.pgbackrest} --stanza=${stanza} archive-push %p";
      archive_timeout = pitr.archiveTimeoutSeconds;
    };
    systemd.services.postgresql.serviceConfig.ReadWritePaths = [
      pitr.repository
      "/var/log/pgbackrest"
    ];
  };
}
