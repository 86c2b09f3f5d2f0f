# Jobs before a start, such as migrations: once at boot before the replicas, and by the roll unit whenever they changed.
{
  config,
  lib,
  utils,
  ...
}:
let
  stacks = lib.filterAttrs (_: stack: stack.enable) config.services.slipway.stacks;
  programOf = import ./program.nix { inherit lib utils; };
  namesOf = import ./names.nix { inherit lib; };

  unit =
    name: stack: key: job:
    let
      before = map (other: "${(namesOf name stack).job other}.service") job.after;
    in
    lib.mkMerge [
      (programOf name stack key job {
        serviceConfig = {
          Type = "oneshot";
          RemainAfterExit = true;
          TimeoutStartSec = job.timeoutSeconds;
        };
      })
      {
        description = "${name}: ${if key == "migrate" then "migrations" else key}";
        wants = stack.requires;
        after = before;
        requires = before;
        # The switch would run it beside the roll; the roll runs it before.
        restartIfChanged = false;
      }
    ];
in
{
  systemd.services = lib.mkMerge (
    lib.mapAttrsToList (
      name: stack:
      lib.mapAttrs' (
        key: job: lib.nameValuePair ((namesOf name stack).job key) (unit name stack key job)
      ) (lib.filterAttrs (_: job: job.before == "start") stack.jobs)
    ) stacks
  );
}
