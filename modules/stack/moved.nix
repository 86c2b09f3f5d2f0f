# Options of a stack that became options of the host: setting an old one gives an error with the new
# name.
#
#   moved.options                       stand in the old places
#   moved.assertions stacks             say so, by name
{ lib }:
let
  # Below services.slipway.stacks.<name>, and where it is now.
  places = {
    "database.maxConnections" = "services.slipway.database.maxConnections";
    "database.memoryMiB" = "services.slipway.database.memoryMiB";
    "database.settings" = "services.slipway.database.settings";
    "database.upgradeFrom" = "services.slipway.database.upgradeFrom";
    "database.network.listen" = "services.slipway.database.network.listen";
    "database.network.certificateFile" = "services.slipway.database.network.certificateFile";
    "database.network.keyFile" = "services.slipway.database.network.keyFile";
    "backup.pitr" = "services.slipway.backup.archive";
    "backup.exporter.port" = "services.slipway.backup.exporter.port";
  };
  pathOf = lib.splitString ".";
in
{
  options = lib.foldl' lib.recursiveUpdate { } (
    lib.mapAttrsToList (
      old: new:
      lib.setAttrByPath (pathOf old) (
        lib.mkOption {
          type = lib.types.nullOr lib.types.raw;
          default = null;
          visible = false;
          description = "Now `${new}`.";
        }
      )
    ) places
  );
  assertions =
    stacks:
    lib.concatLists (
      lib.mapAttrsToList (
        name: stack:
        lib.mapAttrsToList (old: new: {
          assertion = lib.getAttrFromPath (pathOf old) stack == null;
          message = "services.slipway.stacks.${name}.${old} is of the host, whose stacks share it; set ${new} instead.";
        }) places
      ) stacks
    );
}
