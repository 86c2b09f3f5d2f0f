# The names of a stack's units, sockets and folders, in one place.
{ lib }:
name: stack:
let
  of = what: "${name}-${what}";
  replicas =
    service:
    map (number: of "${service}-${toString number}") (lib.range 1 stack.services.${service}.replicas);
  trial = service: of "${service}-trial";
  live = unit: "${unit}-live";
  late = job: of "${job}-late";
  keeper = of "jobs";
  short = lib.removePrefix "${name}-";
  # The folders of sockets that programs open.
  ownFolders = "/run/slipway-sockets/${name}";
  scheduled = lib.attrNames (lib.filterAttrs (_: job: job.schedule != null) stack.jobs);
in
{
  # `live` is what asks a replica whether it still works.
  inherit replicas trial live;
  # None or one.
  trials =
    service:
    lib.optional (
      stack.services.${service}.rolling == "stand-in" && stack.services.${service}.replicas > 0
    ) (trial service);
  # Of all services, without stand-ins.
  all = lib.concatMap replicas (lib.attrNames stack.services);
  job = of;
  # Jobs before a start, in their order.
  startJobs = map of ((import ../../nix/stack/values.nix { inherit lib; }).startJobs stack);
  # What looks after scheduled jobs, and what fails while one is late.
  inherit keeper late;
  jobMetrics = "/run/slipway-jobs/${name}/jobs.prom";
  # The units of the schedules, which are active all the time.
  schedules = lib.optionals (scheduled != [ ]) (
    [ "${keeper}.service" ] ++ map (job: "${of job}.timer") scheduled
  );
  roll = of "roll";
  target = "${name}.target";
  inherit ownFolders;
  ownFolder = unit: "${ownFolders}/${short unit}";
  # One that systemd opens.
  socket = unit: "/run/slipway/${name}/${short unit}.sock";
  # { option, unit } of every unit that the stack has or may have, for unique.nix.
  claims =
    let
      claim = option: unit: { inherit option unit; };
      # Kept free even where the host does not need them, so that a backup can be added later.
      own =
        map (what: "${of what}.service") [
          "backup-dump"
          "backup-drill"
          "backup-offsite"
          "backup-prepare"
          "backup-verify"
          "backup-wal-base"
          "cache-tunnel"
          "database"
          "jobs"
          "roll"
          "secrets"
        ]
        ++ [
          "redis-${name}.service"
          "redis-${name}-password.service"
        ];
      ofService =
        service: _:
        map (unit: claim "services.${service}" "${unit}.service") (
          replicas service ++ map live (replicas service) ++ [ (trial service) ]
        );
    in
    map (claim null) own
    ++ lib.concatLists (lib.mapAttrsToList ofService stack.services)
    ++ lib.concatMap (
      job:
      map (unit: claim "jobs.${job}" "${unit}.service") [
        (of job)
        (late job)
      ]
    ) (lib.attrNames stack.jobs);
}
