# Jobs: units that end by themselves. Those before a start run at boot before the replicas, and by the roll unit whenever
# they changed; the others by their timers (schedule.nix).
{
  config,
  lib,
  pkgs,
  utils,
  ...
}:
let
  stacks = lib.filterAttrs (_: stack: stack.enable) config.services.slipway.stacks;
  programOf = import ./program.nix { inherit lib utils; };
  namesOf = import ./names.nix { inherit lib; };
  contract = import ../../nix/contract.nix;

  # With RemainAfterExit, what the program has left behind would go on beside the replicas.
  endLeftovers = pkgs.writeShellScript "slipway-end-leftovers" ''
    while IFS=: read -r hierarchy _ path; do
      if [ "$hierarchy" = 0 ]; then cgroup=$path; fi
    done < /proc/self/cgroup
    for _ in {1..100}; do
      left=
      while read -r pid; do
        if [ "$pid" != $$ ]; then left=1; kill -KILL "$pid" || true; fi
      done < "/sys/fs/cgroup$cgroup/cgroup.procs"
      [ "$left" ] || exit 0
      ${pkgs.coreutils}/bin/sleep 0.1
    done
    echo "processes of the job do not end" >&2
    exit 1
  '';

  unit =
    name: stack: key: job:
    let
      names = namesOf name stack;
      first = map (other: "${names.job other}.service") job.after;
    in
    lib.mkMerge [
      (lib.mkIf (job.before == "start") {
        # As root, since the job can have a sandbox of its own user's.
        serviceConfig.ExecStartPost = lib.toList (job.serviceConfig.ExecStartPost or [ ]) ++ [
          "+${endLeftovers}"
        ];
      })
      (programOf name stack key job {
        serviceConfig = {
          Type = "oneshot";
          TimeoutStartSec = job.timeoutSeconds;
        }
        // (
          if job.before == "start" then
            { RemainAfterExit = true; }
          else
            { TimeoutStopSec = contract.times.killSeconds; }
        );
      })
      {
        description = "${name}: ${if key == "migrate" then "migrations" else key}";
        wants = stack.requires;
        # A scheduled run waits for the end of a rolling restart: then everything is of one generation.
        after = if job.before == "start" then first else [ "${names.roll}.service" ];
        requires = first;
        # A switch would run it beside the roll, which runs it before; and it leaves a scheduled run that is under way alone.
        restartIfChanged = false;
      }
    ];
in
{
  imports = [ ./schedule.nix ];
  systemd.services = lib.mkMerge (
    lib.mapAttrsToList (
      name: stack:
      lib.mapAttrs' (
        key: job: lib.nameValuePair ((namesOf name stack).job key) (unit name stack key job)
      ) stack.jobs
    ) stacks
  );
}
