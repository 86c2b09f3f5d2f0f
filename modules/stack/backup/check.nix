# The schedules, read by systemd when the system is built: one that it cannot read would build, and never run.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  backup = import ./lib.nix { inherit config lib; };
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
        inherit (work) schedule;
        option = option name kind;
      }) (backup.kinds name stack)
    ) backup.stacks
  );
  test =
    pkgs.runCommand "backup-schedules-test"
      {
        # The builder's own: that of the host may be for another machine.
        nativeBuildInputs = [ pkgs.buildPackages.systemd ];
        # For schedules with a time zone.
        TZDIR = "${pkgs.tzdata}/share/zoneinfo";
      }
      ''
        check() {
          systemd-analyze calendar -- "$2" > report 2>&1 \
            || { echo "$1: systemd cannot read \"$2\"; write it as \"*-*-* 02:15:00\" (man systemd.time)" >&2; cat report >&2; exit 1; }
          cat report >> $out
        }
        ${lib.concatMapStringsSep "\n" (
          one: "check ${lib.escapeShellArg one.option} ${lib.escapeShellArg one.schedule}"
        ) schedules}
      '';
in
{
  config.system.checks = lib.mkIf (schedules != [ ]) [ test ];
}
