# services.slipway.backup: what the backups of all stacks share on a host. The archive has the changes of the server with
# all its databases. It belongs to the host and to no stack, so another stack changes neither its place nor its age.
{ config, lib, ... }:
let
  cluster = import ../../cluster/lib.nix { inherit config lib; };
  inherit (lib) mkOption types;
  day = 24 * 60 * 60;
  timed = import ./timed.nix { inherit lib; };
  contract = import ../../../nix/contract.nix;
  backup = import ./lib.nix { inherit config lib; };
  backedUp = lib.attrNames backup.sharing;
  externalPath = import ../../../nix/lib/external-path.nix { inherit lib; };
  s3.options = {
    bucket = mkOption {
      type = types.str;
      example = "shop-archive";
      description = "The bucket's name. It must exist.";
    };
    endpoint = mkOption {
      type = types.strMatching "[^/]+";
      example = "s3.eu-central-1.amazonaws.com";
      description = "The server's name, with `:PORT` where it is not 443. It is reached by TLS only.";
    };
    region = mkOption {
      type = types.str;
      default = "us-east-1";
      example = "eu-central-1";
      description = "The bucket's region. Servers other than Amazon's often take any.";
    };
    uriStyle = mkOption {
      type = types.enum [
        "host"
        "path"
      ];
      default = "host";
      example = "path";
      description = "Whether the bucket is part of the server's name or of the path. MinIO and the like need `path`.";
    };
    folder = mkOption {
      type = types.strMatching "/.+";
      default = if cluster.member then "/${cluster.cfg.name}" else "/${config.networking.hostName}";
      defaultText = lib.literalMD "`/` and the cluster's name, or the host's";
      example = "/shop";
      description = "The folder in the bucket.";
    };
    authority = mkOption {
      type = types.nullOr types.path;
      default = null;
      example = lib.literalExpression "./s3-authority.pem";
      description = "A PEM file with the authority of the server's certificate; null: those that the host trusts.";
    };
  };
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
      # The folder of one host would not have what the next leader archives.
      default = backedUp != [ ] && (!cluster.member || backup.common);
      defaultText = lib.literalMD "whether a stack's database here is backed up; on members of a cluster only with `s3` or `shared`";
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
      description = "The folder of base backups and archive. Best on another disk than the database; it needs about the database's size times three. With `s3` only pgBackRest's locks are there.";
    };
    shared = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Whether `repository` is one folder for all members of a cluster, such as a mount of NFS. It must be there before Postgres starts, and the account `postgres` must own it.";
    };
    s3 = mkOption {
      type = types.nullOr (types.submodule s3);
      default = null;
      example = {
        bucket = "shop-archive";
        endpoint = "s3.example.com";
      };
      description = ''
        A bucket for base backups and archive, in place of the folder `repository`. All members of a cluster use the same one,
        so that whichever leads goes on in it. What is in it is encrypted.
      '';
    };
    secretsFile = mkOption {
      type = types.nullOr externalPath;
      default = null;
      example = "/run/agenix/pgbackrest";
      description = ''
        A file outside the Nix store with pgBackRest's secret options, one `NAME=VALUE` on a line. For `s3` it has
        `repo1-s3-key`, `repo1-s3-key-secret` and `repo1-cipher-pass`. Without the last one nothing can be restored: keep it
        at a third place as well. All members of a cluster have the same. After a change restart `slipway-archive.service`, as
        `restartUnits` of `services.slipway.agenix.files` does.
      '';
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
