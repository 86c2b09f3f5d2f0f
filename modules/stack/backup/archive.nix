# Continuous archiving with pgBackRest: the server hands over each finished segment of its WAL.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  backup = import ./lib.nix { inherit config lib; };
  inherit (backup) archived archive stanza;
  inherit (archive) s3;
  cfg = config.services.postgresql;
  database = import ../database/lib.nix { inherit config lib; };
  inherit (database) cluster;
  # One of the server's own major versions, where its data would be.
  others = dirOf cfg.dataDir;

  lines = lib.mapAttrsToList (key: value: "${key}=${value}");
  global = {
    repo1-path = if s3 == null then toString archive.repository else s3.folder;
    # Whole backups are kept for so long that every second of the days before can be restored.
    repo1-retention-full-type = "time";
    repo1-retention-full = toString archive.keepDays;
    # Many small files of a young database become few.
    repo1-bundle = "y";
    compress-type = "lz4";
    process-max = toString archive.processes;
    # The server's and the backups' units each have a /tmp of their own, so not there.
    lock-path = "${toString archive.repository}/lock";
    log-path = "/var/log/pgbackrest";
    log-level-file = "warn";
    # A base backup begins at once instead of with the next checkpoint.
    start-fast = "y";
    archive-timeout = "60";
  }
  // lib.optionalAttrs (s3 != null) (
    {
      repo1-type = "s3";
      repo1-s3-bucket = s3.bucket;
      repo1-s3-endpoint = s3.endpoint;
      repo1-s3-region = s3.region;
      repo1-s3-uri-style = s3.uriStyle;
      repo1-cipher-type = "aes-256-cbc";
    }
    // {
      repo1-storage-ca-file =
        if s3.authority == null then "/etc/ssl/certs/ca-certificates.crt" else "${s3.authority}";
    }
  )
  // archive.settings;
  text = lib.concatLines (
    [ "[global]" ]
    ++ lines global
    ++ [
      ""
      "[${stanza}]"
      "pg1-path=${cfg.dataDir}"
      "pg1-port=${toString database.port}"
      "pg1-socket-path=${database.socket}"
      "pg1-user=postgres"
    ]
  );
  secrets = archive.secretsFile != null;
  pgbackrest = "${lib.getExe pkgs.pgbackrest}${lib.optionalString secrets " --config=${backup.configuration}"} --stanza=${stanza}";
  # Of a server that Patroni runs, and of one that runs alone.
  unit = lib.removeSuffix ".service" database.unit;
in
{
  config = lib.mkIf (archived != { }) {
    environment.etc."pgbackrest/pgbackrest.conf" =
      if secrets then { source = backup.configuration; } else { inherit text; };
    systemd.services.slipway-archive = lib.mkIf secrets (
      import ./archive-secrets.nix {
        inherit pkgs lib text;
        inherit (backup) configuration;
        inherit (archive) secretsFile;
        needed = lib.optionals (s3 != null) [
          "repo1-s3-key"
          "repo1-s3-key-secret"
          "repo1-cipher-pass"
        ];
      }
    );
    environment.systemPackages = [ pkgs.pgbackrest ];
    services.postgresql.settings = {
      archive_mode = "on";
      archive_command = "${pgbackrest} archive-push %p";
      archive_timeout = archive.archiveTimeoutSeconds;
    }
    // lib.optionalAttrs cluster.member {
      # A standby asks the archive before it asks the leader. A repository that does not answer must not keep it from starting.
      restore_command = "${lib.getExe' pkgs.coreutils "timeout"} --kill-after=5 30 ${pgbackrest} archive-get %f %p";
    };
    systemd.services.${unit} = lib.mkIf (cluster.member || cfg.enable) {
      wants = lib.optional secrets "slipway-archive.service";
      after = lib.optional secrets "slipway-archive.service";
      # An empty cluster would come up beside what was kept of the lost one, and look like a new host.
      preStart = lib.mkIf (!cluster.member && !backup.remote) (
        lib.mkBefore ''
          if [ ! -e ${cfg.dataDir}/PG_VERSION ] && [ -e ${toString archive.repository}/archive/${stanza}/archive.info ]; then
            echo "there is no cluster in ${cfg.dataDir}, and ${toString archive.repository} holds the archive of one: an empty cluster is not begun beside it" >&2
            for path in ${others}/*/PG_VERSION; do
              [ ! -e "$path" ] || echo "a cluster is in ''${path%/PG_VERSION}" >&2
            done
            echo "to bring it back: slipway-backup restore --to latest --replace; to begin anew: move ${toString archive.repository} away" >&2
            exit 1
          fi
        ''
      );
      # On another disk, it is there before the server looks.
      unitConfig.RequiresMountsFor = [ archive.repository ];
      serviceConfig.ReadWritePaths = [
        archive.repository
        "/var/log/pgbackrest"
      ];
    };
  };
}
