# Calendars of timers, read by systemd when the system is built: a wrong one would build, and its timer never run.
#
#   calendars { lib, pkgs } -> { tools, check = [ { option, calendar } ] -> a shell command }
{ lib, pkgs }:
{
  # For the derivation that runs the command.
  tools = {
    # The builder's own: that of the host may be for another machine.
    nativeBuildInputs = [ pkgs.buildPackages.systemd ];
    # For calendars with a time zone.
    TZDIR = "${pkgs.tzdata}/share/zoneinfo";
  };
  check =
    asked:
    lib.escapeShellArgs (
      [
        "bash"
        "${./calendars.sh}"
      ]
      ++ lib.concatMap (
        { option, calendar }:
        [
          option
          calendar
        ]
      ) asked
    );
}
