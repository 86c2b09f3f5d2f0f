# What a stack asks of its backups on this host.
{ config, lib, ... }:
let
  # The host's stacks that share its server; the archive is one of theirs.
  sharing = lib.attrNames (import ../database/lib.nix { inherit config lib; }).local;

  inherit (lib) mkOption types;
  contract = import ../../../nix/contract.nix;
  day = 24 * 60 * 60;

  timed = import ./timed.nix { inherit lib; };

  options =
    { config, name, ... }:
    {
      options.backup = {
        enable = mkOption {
          type = types.bool;
          default = config.database.enable;
          defaultText = lib.literalMD "`database.enable`";
          example = true;
          description = "Whether the stack's database is backed up from this host. For a server elsewhere (`database.urlFile`): dumps, copies and drills, and no archiving.";
        };
        directory = mkOption {
          type = types.nullOr types.path;
          default = null;
          example = "/srv/backup/shop";
          description = "The folder of the dumps; null: /var/lib/slipway-backup/NAME/dumps. Best on another disk than the database.";
        };
        dump = {
          keepDays = mkOption {
            type = types.ints.between 1 3650;
            default = 30;
            example = 90;
            description = "Days that a dump is kept. The last good one stays, however old.";
          };
        }
        // timed {
          work = "a dump is made";
          schedule = "*-*-* 02:15:00";
          timeoutSeconds = 4 * 60 * 60;
          lateAfterSeconds = 36 * 60 * 60;
        };
        pitr = {
          enable = mkOption {
            type = types.bool;
            default = config.database.enable && sharing != [ ] && lib.head sharing == name;
            defaultText = lib.literalMD "`database.enable`, for the first of the host's stacks by name";
            example = false;
            description = ''
              Whether the server's changes are archived as they happen, so that it can go back to any second of
              `pitr.keepDays`. It is the whole server's, all its databases: one stack of a host has it on.
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
            description = "Seconds after which a segment with changes is archived though it is not full: what a lost disk can cost at most.";
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
        verify = {
          enable = mkOption {
            type = types.bool;
            default = true;
            example = false;
            description = "Whether everything that is kept is read and compared with its checksums from time to time.";
          };
        }
        // timed {
          work = "all is read";
          schedule = "Sat *-*-* 04:30:00";
          timeoutSeconds = 12 * 60 * 60;
          lateAfterSeconds = 8 * day;
        };
        drill = {
          enable = mkOption {
            type = types.bool;
            default = true;
            example = false;
            description = "Whether the newest backups are restored into a server of their own from time to time and compared with what was recorded.";
          };
          directory = mkOption {
            type = types.nullOr types.path;
            default = null;
            example = "/srv/scratch/shop";
            description = "A folder of the drills' own, which `slipway-backup` may write; null: below its state. It needs room for one and a half times the database.";
          };
          jobs = mkOption {
            type = types.ints.between 1 64;
            default = 2;
            example = 4;
            description = "Tables and indexes that a drill restores at one time.";
          };
        }
        // timed {
          work = "a drill is held";
          schedule = "Sun *-*-* 05:30:00";
          timeoutSeconds = 6 * 60 * 60;
          lateAfterSeconds = 8 * day;
        };
        exporter.port = mkOption {
          type = types.port;
          default = contract.ports.backupMetrics;
          example = 9203;
          description = "The port of /metrics and /status on 127.0.0.1. One exporter serves all stacks of a host.";
        };
      };
    };
in
{
  options.services.slipway.stacks = mkOption { type = types.attrsOf (types.submodule options); };
}
