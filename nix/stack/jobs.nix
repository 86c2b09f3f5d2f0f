# The jobs of a stack: programs that end by themselves, at times or before a start.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  inherit (import ./calendar.nix { inherit lib; }) isCalendar isCron;
  inherit (import ./texts.nix { inherit lib; }) described instead;

  job = {
    imports = [ ./program.nix ];
    options = {
      enable = mkOption {
        type = types.bool;
        default = true;
        example = false;
        description = "Whether the job runs. One that is switched off is as if it were not there.";
      };
      before = mkOption {
        type = types.nullOr (types.enum [ "start" ]);
        default = null;
        example = "start";
        description = ''
          `start`: the job runs before the replicas start. A release that changes its program, settings or secrets runs it
          once, before any replica is restarted. When it fails, no replica is touched and the switch fails. When the stack
          starts anew, as at boot, it runs as well, so it must do nothing when there is nothing to do.
        '';
      };
      after = mkOption {
        type = types.listOf types.str;
        default = [ ];
        example = [ "migrate" ];
        description = "Other jobs with `before = \"start\"` that must have succeeded first.";
      };
      schedule = mkOption {
        # A text is a calendar.
        type = types.nullOr (
          described "time such as \"daily\", or one of { calendar = …; } and { intervalSeconds = …; }" (
            types.coercedTo types.str (calendar: { inherit calendar; }) (
              types.attrTag {
                calendar = mkOption {
                  type = types.str;
                  example = "*-*-* 03:15:00";
                  description = "When it runs, as systemd writes times (OnCalendar), in the host's time zone.";
                };
                intervalSeconds = mkOption {
                  type = types.ints.positive;
                  example = 900;
                  description = "Seconds from the end of one run to the start of the next.";
                };
              }
            )
          )
        );
        default = null;
        example = {
          calendar = "daily";
        };
        description = "When the job runs; a text is a `calendar`. A run that is missed while the host is off is made up for; runs do not overlap. Null: only before a start.";
      };
      cron = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "15 3 * * *";
        description = "The same times as cron writes them, for Kubernetes, which does not read systemd's calendar.";
      };
      lateSeconds = mkOption {
        type = types.nullOr types.ints.positive;
        default = null;
        example = 90000;
        description = ''
          Seconds without a success after which the job counts as late. Null: the time in which two runs in a row should have
          succeeded. Under NixOS the unit `<stack>-<job>-late.service` is failed while the job is late.
        '';
      };
      timeoutSeconds = mkOption {
        type = types.ints.positive;
        default = 3600;
        example = 600;
        description = "Seconds until a run that has not ended is ended, and counts as failed.";
      };
      retries = mkOption {
        type = types.ints.between 0 10;
        default = 0;
        example = 2;
        description = "How often a scheduled run that fails is tried again, after a minute.";
      };
    };
  };

  circle =
    let
      waits = one: other: lib.elem one (config.jobs.${other}.after or [ ]);
    in
    (lib.toposort waits (lib.attrNames config.jobs)).cycle or [ ];

  beforeStart = lib.attrNames (lib.filterAttrs (_: job: job.before == "start") config.jobs);

  # What only a schedule has.
  unscheduled =
    job:
    lib.optional (job.lateSeconds != null) "lateSeconds"
    ++ lib.optional (job.retries != 0) "retries"
    ++ lib.optional (job.cron != null) "cron";
in
{
  options.jobs = mkOption {
    type = types.attrsOf (types.submodule job);
    apply = lib.filterAttrs (_: one: one.enable);
    default = { };
    example = lib.literalExpression ''
      {
        report = {
          package = packages.shop;
          arguments = [ "report" ];
          schedule.calendar = "daily";
        };
      }
    '';
    description = "The jobs of the stack by name: programs that end by themselves, at times or before a start.";
  };

  config.assertions = [
    {
      assertion = circle == [ ];
      message = "jobs.${lib.concatStringsSep ".after, jobs." circle}.after wait for each other, so none would ever run: take one of them out.";
    }
  ]
  ++ lib.concatLists (
    lib.mapAttrsToList (
      name: job:
      let
        option = "jobs.${name}";
        calendar = job.schedule.calendar or "daily";
        # Jobs that this one cannot wait for.
        others = lib.subtractLists (lib.optionals (job.before == "start") beforeStart) job.after;
      in
      [
        {
          assertion = !(config.services ? ${name});
          message = "${option} and services.${name} have the same name, and their units would have as well: rename one.";
        }
        {
          assertion = (job.before == null) != (job.schedule == null);
          message = "${option} needs a time to run: set either ${option}.schedule, or ${option}.before = \"start\".";
        }
        {
          assertion = job.schedule != null || (unscheduled job == [ ]);
          message = "${option} sets ${toString (unscheduled job)}, which only a job with a schedule has: set ${option}.schedule, or leave it out.";
        }
        {
          assertion = isCalendar calendar;
          message = "${option}.schedule.calendar is ${calendar}, which is no time that systemd knows: give days, date and time, such as \"Mon..Fri *-*-* 03:15:00\", or a word such as \"daily\".";
        }
        {
          assertion = job.cron == null || isCron job.cron;
          message = "${option}.cron is ${toString job.cron}: give minute, hour, day, month and day of the week, such as \"15 3 * * *\".";
        }
        {
          assertion = others == [ ];
          message = "${option}.after names ${toString others}: only jobs with `before = \"start\"` have an order, and only among themselves${
            if job.before == "start" then
              "; ${instead (toString others) (lib.remove name beforeStart)}"
            else
              "."
          }";
        }
      ]
    ) config.jobs
  );
}
