# When a job runs, as cron writes it: said, or worked out where that is one line. Null: neither.
{ lib }:
job:
let
  words = {
    minutely = "* * * * *";
    hourly = "0 * * * *";
    daily = "0 0 * * *";
    weekly = "0 0 * * 1";
    monthly = "0 0 1 * *";
    yearly = "0 0 1 1 *";
    annually = "0 0 1 1 *";
  };
  calendar = job.schedule.calendar or "";
  seconds = job.schedule.intervalSeconds or 0;
  # A day of the week, and a time without seconds.
  parts = builtins.match "((Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]* )?([*]-[*]-[*] )?0?(1?[0-9]|2[0-3]):0?([1-5]?[0-9])(:00)?" calendar;
  day = lib.elemAt parts 1;
  every = number: if number == 1 then "*" else "*/${toString number}";
  divides = number: whole: number > 0 && lib.mod whole number == 0;
  minutes = seconds / 60;
  hours = seconds / 3600;
  isWhole = unit: divides unit seconds;
in
if job.cron != null then
  job.cron
else if words ? ${calendar} then
  words.${calendar}
else if parts != null then
  "${lib.elemAt parts 4} ${lib.elemAt parts 3} * * ${if day == null then "*" else day}"
else if isWhole 60 && seconds < 3600 && divides minutes 60 then
  "${every minutes} * * * *"
else if isWhole 3600 && seconds < 86400 && divides hours 24 then
  "0 ${every hours} * * *"
else if seconds == 86400 then
  "0 0 * * *"
else
  null
