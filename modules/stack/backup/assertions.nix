# Contradictions in what the stacks ask of their backups, each with the option and the cure.
{ config, lib, ... }:
let
  backup = import ./lib.nix { inherit config lib; };
  inherit (backup) stacks archived;
  ports = lib.unique (map (stack: stack.backup.exporter.port) (lib.attrValues stacks));

  perStack =
    name: stack:
    let
      option = "services.slipway.stacks.${name}.backup";
      inherit (stack.backup) offsite pitr;
    in
    [
      {
        assertion = stack.database.enable || stack.database.urlFile != null;
        message = "${option}.enable is set and there is no database: enable database, give database.urlFile, or turn the backup off.";
      }
      {
        assertion = !pitr.enable || stack.database.enable;
        message = "${option}.pitr.enable needs the server on this host; turn it off, and archive where the server of database.urlFile runs.";
      }
      {
        assertion = !pitr.enable || pitr.diffEveryDays <= pitr.fullEveryDays;
        message = "${option}.pitr.diffEveryDays is above fullEveryDays, so no differential backup would ever be made; lower it.";
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
    ];
in
{
  assertions = lib.concatLists (lib.mapAttrsToList perStack stacks) ++ [
    {
      assertion = lib.length (lib.attrNames archived) <= 1;
      message = "services.slipway.stacks.*.backup.pitr.enable is set for ${toString (lib.attrNames archived)}, which share one server with one archive; leave it on for one of them: it covers all.";
    }
    {
      assertion = lib.length ports <= 1;
      message = "services.slipway.stacks.*.backup.exporter.port differs between the stacks of this host, which share one exporter; give the same port everywhere.";
    }
    {
      assertion = archived == { } || !(config.services.pgbackrest.enable or false);
      message = "services.pgbackrest.enable and services.slipway.stacks.*.backup.pitr.enable both write pgBackRest's configuration; turn one of them off.";
    }
  ];
  warnings = lib.mapAttrsToList (
    name: _:
    "services.slipway.stacks.${name}.backup.offsite names no repository: a lost host is a lost database. Set offsite.repository and offsite.passwordFile."
  ) (lib.filterAttrs (_: stack: !stack.backup.offsite.enable) stacks);
}
