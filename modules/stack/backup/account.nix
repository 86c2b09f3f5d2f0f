# Who owns the backups, and the folders. Two accounts share them. `slipway-backup` reads the database through its role and
# owns dumps, copies and drills. The server's own account makes base backups, since only it may read the server's files.
{
  config,
  lib,
  ...
}:
let
  backup = import ./lib.nix { inherit config lib; };
  inherit (import ../database/lib.nix { inherit config lib; }) cluster;
  inherit (backup)
    stacks
    archived
    archive
    user
    ;
  shared = mode: {
    inherit mode user;
    group = user;
  };
  foldersOf =
    name: stack:
    {
      # Group and its inheritance: records and locks are both accounts'.
      ${backup.folder name}.d = shared "2770";
      ${backup.dumps name stack}.d = {
        mode = "2750";
        inherit user;
        group = user;
      };
    }
    # Made by either account, and by root in a restore by hand; whatever its umask was, both go on.
    // lib.concatMapAttrs (_: made: {
      "${backup.folder name}/${made}".d = shared "2770";
      "${backup.folder name}/${made}/*".z = shared "0660";
    }) (lib.genAttrs [ "locks" "runs" ] lib.id)
    // lib.genAttrs (backup.copyFolder stack) (_: {
      d = {
        mode = "0700";
        inherit user;
        group = user;
      };
    });
  ofArchive = {
    ${toString archive.repository}.d = {
      mode = "0750";
      user = "postgres";
      group = "postgres";
    };
    "/var/log/pgbackrest".d = {
      mode = "0750";
      user = "postgres";
      group = "postgres";
    };
  };
in
{
  config = lib.mkIf (stacks != { }) {
    users.users.${user} = {
      isSystemUser = true;
      group = user;
      # The archive's folder is the server's.
      extraGroups = lib.optional (archived != { }) "postgres";
      description = "Backups of Slipway's stacks";
    };
    users.groups.${user} = { };
    # A restore by the server's account reads the dumps.
    users.users.postgres = lib.mkIf (config.services.postgresql.enable || cluster.member) {
      extraGroups = [ user ];
    };
    systemd.tmpfiles.settings."10-slipway-backup" = lib.mkMerge (
      [
        {
          "/var/lib/slipway-backup".d = {
            mode = "0755";
            user = "root";
            group = "root";
          };
        }
      ]
      ++ lib.mapAttrsToList foldersOf stacks
      ++ lib.optional (archived != { }) ofArchive
    );
  };
}
