# Times as systemd and as cron write them. A wrong one would make a timer that never elapses, or a CronJob that the cluster
# refuses. systemd finds more when a host is built: a time zone that nobody knows, a range from the later to the earlier, `*`
# among others in a list, and a step that is too large.
{ lib }:
let
  minute = "[0-5]?[0-9]";
  hour = "(2[0-3]|[01]?[0-9])";
  day = "(3[01]|[12][0-9]|0?[1-9])";
  month = "(1[0-2]|0?[1-9])";

  # `*`, a number or a range, each with a step; several with commas between.
  list =
    all: range: fraction: number:
    let
      one = "(${all}|${number}${fraction}(${range}${number}${fraction})?)(/[0-9]+${fraction})?";
    in
    "${one}(,${one})*";

  systemd =
    let
      of = list "[*]" "[.][.]" "";
      words = "minutely|hourly|daily|weekly|monthly|quarterly|(semi|bi)-?annually|annually|yearly";
      weekday = "(mon(day)?|tue(sday)?|wed(nesday)?|thu(rsday)?|fri(day)?|sat(urday)?|sun(day)?)";
      weekdays = "${weekday}((,|[.][.]|-)${weekday})*,?";
      date = "(${of "[0-9]{2,4}"}-)?${of month}[-~]${of day}";
      second = list "[*]" "[.][.]" "([.][0-9]+)?" minute;
      time = "${of hour}:${of minute}(:${second})?";
      zone = " +[a-z][a-z0-9_+/-]*";
      # Each part may be missing, but not all.
      spaced = lib.concatStringsSep "|" [
        "${weekdays}( +${date})?( +${time})?"
        "${date}( +${time})?"
        time
      ];
    in
    "(${words}|@[0-9]+|${spaced})(${zone})?";
  cron =
    let
      of = list "[*?]" "-" "";
    in
    lib.concatStringsSep " +" [
      (of minute)
      (of hour)
      (of day)
      (of "(${month}|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)")
      (of "([0-6]|sun|mon|tue|wed|thu|fri|sat)")
    ];
  matches = form: text: builtins.match form (lib.toLower text) != null;
in
{
  isCalendar = matches systemd;
  isCron = matches "@(hourly|daily|midnight|weekly|monthly|annually|yearly)|${cron}";
}
