# Options of a stack that only a host has. What has no meaning in containers is accepted, so that one attribute set serves all
# platforms; what a team would miss there is refused, with what to set instead.
{
  config,
  lib,
  name,
  ...
}:
let
  inherit (lib) mkOption types;

  ignored = [
    "enable"
    "user"
    "group"
    "requires"
    "units"
    "backup"
    "database.package"
    "database.authentication"
    "database.secondPasswordFile"
    "database.network"
    "cache.disabledCommands"
    "cache.network"
    "cache.socket"
  ];

  refused = {
    "api" = "write services.api, with preset = \"api\"";
    "worker" = "write services.worker, with preset = \"worker\"";
    "migrations" = "write jobs.migrate, with before = \"start\"";
    "database.extensions" = "name an image of Postgres that has them, and set the option on the host";
    "cache.remote" = "set cache.urlFile";
  };

  pathOf = lib.splitString ".";
  declare =
    option:
    lib.setAttrByPath (pathOf option) (mkOption {
      type = types.raw;
      default = null;
      internal = true;
      description = "Of a host alone.";
    });
in
{
  options = lib.foldl' lib.recursiveUpdate { } (map declare (ignored ++ lib.attrNames refused));
  config.assertions = lib.mapAttrsToList (option: cure: {
    assertion = lib.getAttrFromPath (pathOf option) config == null;
    message = "${option} of the stack ${name} is for hosts: for containers ${cure}.";
  }) refused;
}
