# Shared by the files about backups.
{ config, lib }:
let
  stacks = lib.filterAttrs (
    _: stack: stack.enable && stack.backup.enable
  ) config.services.slipway.stacks;
in
rec {
  inherit stacks;
  # Reads the database and owns the backups.
  user = "slipway-backup";
  folder = name: "/var/lib/slipway-backup/${name}";
  dumps =
    name: stack:
    if stack.backup.directory == null then "${folder name}/dumps" else stack.backup.directory;
  # The folder of the copies if they go to one, such as another disk's, as a list; otherwise empty.
  copyFolder =
    stack:
    let
      inherit (stack.backup) offsite;
      address = lib.removePrefix "local:" (toString offsite.repository);
    in
    lib.optional (offsite.enable && lib.hasPrefix "/" address) address;
  # Those whose database is in the host's own server.
  sharing = lib.filterAttrs (_: stack: stack.database.enable) stacks;
  # A host's server has one archive, and one stack has it in its backups.
  inherit (config.services.slipway.backup) archive;
  archived = lib.filterAttrs (name: _: archive.enable && archive.stack == name) sharing;
  # The repository is at another place, and no folder here has it.
  remote =
    archive.s3 != null
    || lib.elem (archive.settings.repo1-type or "posix") [
      "azure"
      "gcs"
      "s3"
      "sftp"
    ];
  # All members of a cluster reach it.
  common = remote || archive.shared;
  # pgBackRest's configuration: where there are secrets, with them.
  configuration =
    if archive.secretsFile == null then
      "/etc/pgbackrest/pgbackrest.conf"
    else
      "/run/slipway-archive/pgbackrest.conf";
  stanza = "main";
  # Folders that the units of backups cannot see: their sandbox hides homes.
  isHome =
    path:
    lib.any (home: path == home || lib.hasPrefix "${home}/" path) [
      "/home"
      "/root"
      "/run/user"
    ];

  # The kinds of work that a stack's backups consist of: the schedule of each, its bounds and its account.
  kinds =
    name: stack:
    let
      kind =
        options: work:
        {
          enable = options.enable or true;
          inherit (options) schedule timeoutSeconds lateAfterSeconds;
          inherit user;
        }
        // work;
    in
    lib.filterAttrs (_: work: work.enable) {
      dump = kind stack.backup.dump {
        what = "dump";
        command = "now --kind dump";
      };
      wal-base = kind (archive // { enable = archived ? ${name}; }) {
        what = "base backup";
        command = "now --kind wal-base";
        # Reads the server's own files.
        user = "postgres";
      };
      offsite = kind stack.backup.offsite {
        what = "off-site copy";
        command = "now --kind offsite";
      };
      verify = kind stack.backup.verify {
        what = "verification of what is kept";
        command = "verify";
      };
      drill = kind stack.backup.drill {
        what = "restore drill";
        command = "drill";
      };
    };
}
