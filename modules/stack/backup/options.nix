# What a stack asks of its backups on this host.
{ lib, ... }:
let
  inherit (lib) mkOption types;
  day = 24 * 60 * 60;

  timed = import ./timed.nix { inherit lib; };

  options =
    { config, ... }:
    {
      imports = [ (lib.mkRenamedOptionModule [ "backup" "offsite" "paths" ] [ "backup" "paths" ]) ];
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
        paths = mkOption {
          type = types.listOf types.path;
          default = [ ];
          example = [ "/var/lib/shop-web" ];
          description = ''
            Folders to keep beside the database, such as what a service with `stateDirectory` writes. They are in the copies
            of `backup.offsite`, whoever may read them here.
          '';
        };
      };
    };
in
{
  options.services.slipway.stacks = mkOption { type = types.attrsOf (types.submodule options); };
}
