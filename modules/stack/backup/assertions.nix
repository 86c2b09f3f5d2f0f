# Contradictions in what the stacks ask of their backups, each with the option and the cure.
{ config, lib, ... }:
let
  backup = import ./lib.nix { inherit config lib; };
  inherit (backup)
    stacks
    archived
    archive
    sharing
    ;

  notAtHome = option: path: {
    assertion = path == null || !backup.isHome (toString path);
    message = "${option} is ${toString path}, and the units of backups and of Postgres see no homes; take a folder elsewhere, such as below /srv/backup.";
  };

  perStack =
    name: stack:
    let
      option = "services.slipway.stacks.${name}.backup";
      inherit (stack.backup) offsite drill directory;
      # Written by units that see no homes.
      written = {
        "${option}.directory" = directory;
        "${option}.drill.directory" = drill.directory;
        "${option}.offsite.repository" = lib.head (backup.copyFolder stack ++ [ null ]);
      };
    in
    [
      {
        assertion = stack.database.enable || stack.database.urlFile != null;
        message = "${option}.enable is set, and backups have no way to a database: it must be on this host (database.enable), or database.urlFile must name it; otherwise turn the backup off.";
      }
      {
        assertion = !(offsite.repository != null && offsite.repositoryFile != null);
        message = "${option}.offsite.repository and repositoryFile are both set; leave one out.";
      }
      {
        assertion = !offsite.enable || offsite.repository != null || offsite.repositoryFile != null;
        message = "${option}.offsite.enable needs ${option}.offsite.repository, or repositoryFile where the address holds a password.";
      }
      {
        assertion = !offsite.enable || offsite.passwordFile != null;
        message = "${option}.offsite.passwordFile is not set: copies are always encrypted; name a file outside the Nix store.";
      }
      {
        assertion =
          offsite.repository == null
          || builtins.match "[a-z0-9+]+:(https?://)?[^/@]+:[^/@]+@.*" offsite.repository == null;
        message = "${option}.offsite.repository has a password in it, which every user of the host could read; put the address into a file and name it with repositoryFile.";
      }
      {
        assertion = stack.backup.paths == [ ] || offsite.enable;
        message = "${option}.paths are kept in copies, and ${option}.offsite names no repository: set offsite.repository, or leave the paths out.";
      }
    ]
    ++ lib.mapAttrsToList notAtHome written;
in
{
  assertions = lib.concatLists (lib.mapAttrsToList perStack stacks) ++ [
    {
      assertion = !archive.enable || archive.stack != null;
      message = "services.slipway.backup.archive.stack is not set, and ${
        if sharing == { } then
          "no stack with a database on this host is backed up: archive where the server runs, or set archive.enable = false"
        else
          "the server is shared by ${toString (lib.attrNames sharing)}: name the one whose backups have the archive in them (before there was this option, it was ${lib.head (lib.attrNames sharing)})"
      }.";
    }
    {
      assertion = !archive.enable || archive.stack == null || sharing ? ${archive.stack};
      message = "services.slipway.backup.archive.stack is ${toString archive.stack}, which has no database on this host or no backup; name one of: ${toString (lib.attrNames sharing)}.";
    }
    {
      assertion = archive.diffEveryDays <= archive.fullEveryDays;
      message = "services.slipway.backup.archive.diffEveryDays is above fullEveryDays, so no differential backup would ever be made; lower it.";
    }
    (notAtHome "services.slipway.backup.archive.repository" (
      if archived == { } then null else archive.repository
    ))
    {
      assertion = archive.s3 == null || !archive.shared;
      message = "services.slipway.backup.archive.s3 and shared are both set, and an archive is in a bucket or in a folder: leave one out.";
    }
    {
      assertion = archived == { } || archive.s3 == null || archive.secretsFile != null;
      message = "services.slipway.backup.archive.secretsFile is not set, and the bucket ${
        if archive.s3 == null then "" else archive.s3.bucket
      } needs repo1-s3-key, repo1-s3-key-secret and repo1-cipher-pass: name a file outside the Nix store with these lines.";
    }
    {
      assertion = archived == { } || !(config.services.pgbackrest.enable or false);
      message = "services.pgbackrest.enable and services.slipway.backup.archive.enable both write pgBackRest's configuration; turn one of them off.";
    }
  ];
  warnings =
    lib.mapAttrsToList
      (
        name: _:
        "services.slipway.stacks.${name}.backup.offsite names no repository: a lost host is a lost database. Set offsite.repository and offsite.passwordFile."
      )
      (
        lib.filterAttrs (
          name: stack: !stack.backup.offsite.enable && !(archived ? ${name} && backup.remote)
        ) stacks
      );
}
