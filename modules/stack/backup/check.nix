# The schedules of backups, read by systemd when the system is built.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  backup = import ./lib.nix { inherit config lib; };
  calendars = import ../calendars.nix { inherit lib pkgs; };
  option =
    name: kind:
    if kind == "wal-base" then
      "services.slipway.backup.archive.schedule"
    else
      "services.slipway.stacks.${name}.backup.${kind}.schedule";
  schedules = lib.concatLists (
    lib.mapAttrsToList (
      name: stack:
      lib.mapAttrsToList (kind: work: {
        calendar = work.schedule;
        option = option name kind;
      }) (backup.kinds name stack)
    ) backup.stacks
  );
  test = pkgs.runCommand "backup-schedules-test" calendars.tools ''
    ${calendars.check schedules}
    touch $out
  '';
in
{
  config.system.checks = lib.mkIf (schedules != [ ]) [ test ];
}
