# The schedules of jobs: a timer for each, and a unit that is failed while the job is late. <stack>-jobs.service remembers
# runs and writes metrics (jobs.sh). Only a stack with scheduled jobs has any of it.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  namesOf = import ./names.nix { inherit lib; };
  hardening = import ../../nix/lib/hardening.nix;
  calendars = import ./calendars.nix { inherit lib pkgs; };
  scheduled = stack: lib.filterAttrs (_: job: job.schedule != null) stack.jobs;
  enabled = lib.filterAttrs (_: stack: stack.enable) config.services.slipway.stacks;
  stacks = lib.filterAttrs (_: stack: scheduled stack != { }) enabled;
  without = lib.removeAttrs enabled (lib.attrNames stacks);
  # node-exporter reads the metrics there.
  metrics = "/run/slipway-jobs";

  script = import ../../nix/lib/shell-application.nix { inherit pkgs; } {
    name = "slipway-jobs";
    runtimeInputs = [
      config.systemd.package
      pkgs.coreutils
      pkgs.gnused
    ];
    text = builtins.readFile ./jobs.sh;
  };
  program = lib.getExe script;

  # A wrong calendar ends the build, not the timer.
  table =
    name: stack:
    let
      names = namesOf name stack;
      orNone = value: if value == null then "-" else toString value;
      line =
        key: job:
        toString [
          key
          (names.job key)
          job.retries
          job.timeoutSeconds
          (orNone job.lateSeconds)
          (orNone (job.schedule.intervalSeconds or null))
          (job.schedule.calendar or "-")
        ];
      calendar =
        key: job:
        lib.optional (job.schedule ? calendar) {
          option = "services.slipway.stacks.${name}.jobs.${key}.schedule.calendar";
          inherit (job.schedule) calendar;
        };
    in
    pkgs.runCommand "${name}-jobs"
      (
        calendars.tools
        // {
          text = lib.concatLines (lib.mapAttrsToList line (scheduled stack));
          passAsFile = [ "text" ];
        }
      )
      ''
        ${calendars.check (lib.concatLists (lib.mapAttrsToList calendar (scheduled stack)))}
        cp "$textPath" "$out"
      '';

  keeper = name: stack: {
    description = "${name}: records and metrics of its jobs";
    wantedBy = [ (namesOf name stack).target ];
    partOf = [ (namesOf name stack).target ];
    environment.JOBS_STACK = name;
    unitConfig.StartLimitIntervalSec = 0;
    serviceConfig =
      hardening {
        # It is root: it starts units, and keeps their records.
        capabilities = [ ];
        # `systemctl` asks for the boot's id.
        kernelFacts = true;
      }
      // {
        ExecStart = "${program} keep ${table name stack}";
        StateDirectory = "slipway-jobs/${name}";
        # Removed with the unit, so that no metric of a job stays that is no more.
        RuntimeDirectory = "slipway-jobs/${name}";
        UMask = "0022";
        Restart = "always";
        RestartSec = 5;
        MemoryMax = "64M";
        TasksMax = 32;
      };
  };

  # The program's own, then ours: outside its sandbox, with root's rights and without its secrets.
  recorded = name: key: job: {
    environment.JOBS_STACK = name;
    serviceConfig.ExecStopPost = lib.toList (job.serviceConfig.ExecStopPost or [ ]) ++ [
      "+${program} ended ${key}"
    ];
  };

  late = name: key: {
    description = "${name}: whether ${key} is late";
    environment.JOBS_STACK = name;
    unitConfig.StartLimitIntervalSec = 0;
    serviceConfig = hardening { capabilities = [ ]; } // {
      Type = "oneshot";
      ExecStart = "${program} late ${key}";
    };
  };

  timer = name: stack: key: job: {
    description = "${name}: ${key}, on its schedule";
    wantedBy = [ (namesOf name stack).target ];
    partOf = [ (namesOf name stack).target ];
    timerConfig = {
      AccuracySec = "1s";
    }
    // (
      if job.schedule ? calendar then
        {
          OnCalendar = job.schedule.calendar;
          Persistent = true;
        }
      else
        # Once it has run since boot; jobs.sh starts the first run, since only the record knows when that is due.
        { OnUnitInactiveSec = job.schedule.intervalSeconds; }
    );
  };

  units =
    name: stack: key: job:
    let
      unit = (namesOf name stack).job key;
    in
    {
      services = {
        ${unit} = recorded name key job;
        ${(namesOf name stack).late key} = late name key;
      };
      timers.${unit} = timer name stack key job;
    };
in
{
  config = {
    systemd = lib.mkMerge (
      # The records of the last job are gone with it; jobs.sh removes those of others.
      [
        {
          tmpfiles.settings = lib.mapAttrs' (
            name: _: lib.nameValuePair "10-slipway-${name}-jobs" { "/var/lib/slipway-jobs/${name}".R = { }; }
          ) without;
        }
      ]
      ++ lib.concatLists (
        lib.mapAttrsToList (
          name: stack:
          [ { services.${(namesOf name stack).keeper} = keeper name stack; } ]
          ++ lib.mapAttrsToList (units name stack) (scheduled stack)
        ) stacks
      )
    );
    services.prometheus.exporters.node.extraFlags = lib.mkIf (stacks != { }) [
      "--collector.textfile.directory=${metrics}/*"
    ];
  };
}
