# services.slipway.backup: what the backups of all stacks share on a host. The archive has the changes of the server with
# all its databases. It belongs to the host and to no stack, so another stack changes neither its place nor its age.
{ config, lib, ... }:
let
  cluster = import ../../cluster/lib.nix { inherit config lib; };
  inherit (lib) mkOption types;
  day = 24 * 60 * 60;
  timed = import ./timed.nix { inherit lib; };
  contract = import ../../../nix/contract.nix;
  backedUp = lib.attrNames (import ./lib.nix { inherit config lib; }).sharing;
in
{
  # Its name before it stood beside the other options of the host's backups.
  imports =
    map
      (
        option:
        lib.mkRenamedOptionModule
          [ "services" "slipway" "database" "archive" option ]
          [ "services" "slipway" "backup" "archive" option ]
      )
      [
        "archiveLateAfterSeconds"
        "archiveTimeoutSeconds"
        "diffEveryDays"
        "enable"
        "fullEveryDays"
        "keepDays"
        "lateAfterSeconds"
        "processes"
        "repository"
        "schedule"
        "settings"
        "stack"
        "timeoutSeconds"
      ];

  options.services.slipway.backup.exporter.port = mkOption {
    type = types.port;
    default = contract.ports.backupMetrics;
    example = 9203;
    description = "The port of /metrics and /status on 127.0.0.1. One exporter serves the backups of all stacks here.";
  };
  options.services.slipway.backup.archive = {
    enable = mkOption {
      type = types.bool;
      # A member's archive would be on one host, and the next leader is another one.
      default = backedUp != [ ] && !cluster.member;
      defaultText = lib.literalMD "whether a stack with a database on this host is backed up, and the host is no member of a cluster";
      example = false;
      description = ''
        Whether the server's changes are archived continuously, so that it can go back to any second of `keepDays`. The
        archive covers the whole server with all its databases.
      '';
    };
    stack = mkOption {
      type = types.nullOr types.str;
      default = if lib.length backedUp == 1 then lib.head backedUp else null;
      defaultText = lib.literalMD "the only stack that is backed up here";
      example = "shop";
      description = ''
        The stack whose backups include the archive. Its copies contain the archive, its verification and drill check it, and
        `slipway-backup --stack NAME` restores from it. You must name it if several stacks have backups here.
      '';
    };
    repository = mkOption {
      type = types.path;
      default = "/var/lib/pgbackrest";
      example = "/srv/backup/pgbackrest";
      description = "The folder of base backups and archive. Best on another disk than the database; it needs about the database's size times three.";
    };
    keepDays = mkOption {
      type = types.ints.between 1 3650;
      default = 30;
      example = 14;
      description = "Days that can be gone back. pgBackRest keeps the full backup before that, too.";
    };
    fullEveryDays = mkOption {
      type = types.ints.between 1 365;
      default = 7;
      example = 14;
      description = "Days between full base backups; between them only what changed since.";
    };
    diffEveryDays = mkOption {
      type = types.ints.between 1 365;
      default = 1;
      example = 1;
      description = "Days between differential base backups; runs between them are incremental.";
    };
    archiveTimeoutSeconds = mkOption {
      type = types.ints.between 10 3600;
      default = 60;
      example = 300;
      description = "Seconds after which a segment with changes is archived even if it is not full. This is the most that a lost disk can cost.";
    };
    archiveLateAfterSeconds = mkOption {
      type = types.ints.between 10 day;
      default = 300;
      example = 900;
      description = "Seconds that a finished segment may wait for the archive before status and metrics say so.";
    };
    processes = mkOption {
      type = types.ints.between 1 64;
      default = 2;
      example = 4;
      description = "Processes that compress and copy at one time, in a base backup and in a restore.";
    };
    settings = mkOption {
      type = types.attrsOf types.str;
      default = { };
      example = {
        repo1-bundle = "y";
      };
      description = "More lines of pgBackRest's section [global]. They win over what this module sets. Nothing secret: the file is readable by every user.";
    };
  }
  // timed {
    work = "a base backup is made";
    schedule = "*-*-* 03:30:00";
    timeoutSeconds = 12 * 60 * 60;
    lateAfterSeconds = 36 * 60 * 60;
  };
}
