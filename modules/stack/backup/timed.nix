# The options of scheduled work.
{ lib }:
let
  inherit (lib) mkOption types;
  day = 24 * 60 * 60;
in
{
  # The work, its default schedule and its default bounds; the notes add what is special about them.
  work,
  schedule,
  timeoutSeconds,
  lateAfterSeconds,
  scheduleNote ? "",
  timeoutNote ? "",
}:
let
  noted = text: note: lib.concatStringsSep " " ([ text ] ++ lib.optional (note != "") note);
in
{
  schedule = mkOption {
    type = types.str;
    default = schedule;
    example = "*-*-* 01:30:00";
    description = noted "When ${work}, as systemd's OnCalendar takes it, delayed at random by up to 10 minutes. A missed run starts when the host is back." scheduleNote;
  };
  timeoutSeconds = mkOption {
    type = types.ints.between 60 (7 * day);
    default = timeoutSeconds;
    example = 6 * 60 * 60;
    description = noted "Seconds until a run is ended and counts as failed." timeoutNote;
  };
  lateAfterSeconds = mkOption {
    type = types.ints.between 60 (90 * day);
    default = lateAfterSeconds;
    example = 3 * day;
    description = "Age in seconds from which the last good run counts as late, in `slipway-backup status` and in the metrics. More than the schedule's step and a run together.";
  };
}
