# Where the copies go that outlive the host.
{ lib, ... }:
let
  inherit (lib) mkOption types;
  timed = import ./timed.nix { inherit lib; };
  externalPath = import ../../../nix/lib/external-path.nix { inherit lib; };
  keep =
    what: default:
    mkOption {
      type = types.ints.between 0 10000;
      inherit default;
      example = default;
      description = "How many ${what} copies stay.";
    };

  options =
    { config, ... }:
    {
      options.backup.offsite = {
        enable = mkOption {
          type = types.bool;
          default = config.backup.offsite.repository != null || config.backup.offsite.repositoryFile != null;
          defaultText = lib.literalMD "whether a repository is named";
          example = true;
          description = "Whether dumps, `backup.paths`, archive and configuration are copied elsewhere with restic, encrypted.";
        };
        repository = mkOption {
          type = types.nullOr types.str;
          default = null;
          example = "s3:https://s3.example.com/backup-shop";
          description = ''
            restic's address of the repository: `s3:…`, `sftp:…`, `rest:https://…` or a folder. Put no secrets here. The
            first copy creates the repository if it is missing. A folder, by its absolute path, gets the owner
            `slipway-backup`, and the units that copy and verify may write there. It must be on another disk to protect
            anything.
          '';
        };
        repositoryFile = mkOption {
          type = types.nullOr externalPath;
          default = null;
          example = "/run/agenix/shop-restic-repository";
          description = "A file outside the Nix store with the address, where it holds a password, as that of a REST server does.";
        };
        passwordFile = mkOption {
          type = types.nullOr externalPath;
          default = null;
          example = "/run/agenix/shop-restic-password";
          description = "A file outside the Nix store with the repository's password. Without it the copies cannot be read: keep it at a third place as well.";
        };
        environmentFile = mkOption {
          type = types.nullOr externalPath;
          default = null;
          example = "/run/agenix/shop-restic-environment";
          description = "A file outside the Nix store with lines NAME=value, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.";
        };
        extraOptions = mkOption {
          type = types.listOf types.str;
          default = [ ];
          example = [ "sftp.args='-i /run/agenix/backup-key -o StrictHostKeyChecking=yes'" ];
          description = ''
            restic's extended options (`-o`). Nothing secret. A key of SSH must be readable by the account `slipway-backup`, and
            the server's own key stand in `programs.ssh.knownHosts`.
          '';
        };
        configuration = mkOption {
          type = types.listOf types.path;
          default = [ ];
          example = lib.literalExpression "[ self ]";
          description = "The host's configuration to copy along: the flake's source with its lock and the secrets' ciphertext, so that a lost host can be built again.";
        };
        readPercent = mkOption {
          type = types.ints.between 0 100;
          default = 5;
          example = 100;
          description = "Part of the copies' data, in percent, that each verification downloads and reads.";
        };
        keep = {
          hourly = keep "hourly" 24;
          daily = keep "daily" 14;
          weekly = keep "weekly" 8;
          monthly = keep "monthly" 12;
        };
      }
      // timed {
        work = "a copy is made";
        schedule = "hourly";
        scheduleNote = "A lost site costs what came after the last one.";
        timeoutSeconds = 24 * 60 * 60;
        timeoutNote = "The first copy takes longest.";
        lateAfterSeconds = 6 * 60 * 60;
      };
    };
in
{
  options.services.slipway.stacks = mkOption { type = types.attrsOf (types.submodule options); };
}
