# Compose runs no job at a time: units of systemd on the machine do, by file name.
{
  lib,
  name,
  folder,
  timedJobs,
}:
let
  pauseSeconds = 60;
  unit =
    job:
    let
      container = "${name}-${job.name}";
      run = "/usr/bin/env \${ENGINE} compose --profile jobs run --rm --name ${container} ${job.name}";
      remove = "/usr/bin/env \${ENGINE} rm --force ${container}";
      # Each try has its own time. systemd's own restarts would count together with the timer's starts.
      tries = lib.concatStringsSep " || { ${remove}; sleep ${toString pauseSeconds}; " (
        lib.genList (_: "timeout ${toString job.timeoutSeconds} ${run}") (job.retries + 1)
      );
    in
    {
      "systemd/${container}.service" = ''
        [Unit]
        Description=${name}: ${job.name}

        [Service]
        Type=oneshot
        WorkingDirectory=${folder}
        # For Podman: ENGINE=podman in a drop-in.
        Environment=ENGINE=docker
        ExecStart=/bin/sh -c '${tries}${lib.concatStrings (lib.genList (_: "; }") job.retries)}'
        ExecStopPost=-${remove}
        TimeoutStartSec=${toString ((job.retries + 1) * (job.timeoutSeconds + pauseSeconds))}
      '';
      "systemd/${container}.timer" = ''
        [Unit]
        Description=${name}: ${job.name} at its times

        [Timer]
        ${
          if job.schedule ? calendar then
            "OnCalendar=${job.schedule.calendar}\nPersistent=true"
          else
            "OnActiveSec=${toString job.schedule.intervalSeconds}\nOnUnitInactiveSec=${toString job.schedule.intervalSeconds}"
        }

        [Install]
        WantedBy=timers.target
      '';
    };
in
lib.mergeAttrsList (map unit timedJobs)
