# How long a switch may take: each time limit is longer than the one that it waits for. docs/decisions/0040 has the
# rule.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  contract = import ../../nix/contract.nix;
  stacks = lib.filterAttrs (_: stack: stack.enable) config.services.slipway.stacks;

  rollOptions =
    { config, ... }:
    {
      options.rollSeconds = mkOption {
        type = types.ints.positive;
        internal = true;
        readOnly = true;
        description = "Seconds until a rolling restart that has not ended is ended.";
      };
      config.rollSeconds =
        let
          # Stopping and starting every process one after another, and the stand-in, which ends a second after them.
          all =
            service:
            (service.startSeconds + service.stopSeconds) * (service.replicas + 1)
            + (if service.standIn == null then 0 else 1);
          jobs = lib.filter (job: job.before == "start") (lib.attrValues config.jobs);
        in
        # A stack may have a database alone, whose setup takes a moment, too.
        if config.services == { } then
          contract.health.startSeconds
        else
          lib.foldl' lib.add 0 (
            map (job: job.timeoutSeconds) jobs ++ map all (lib.attrValues config.services)
          );
    };
in
{
  options.services.slipway.stacks = mkOption {
    type = types.attrsOf (types.submodule rollOptions);
  };

  # The agent reads it from the new closure and from the prior. Stacks roll at the same time.
  config.environment.etc = lib.mkIf (stacks != { }) {
    "slipway/activation.json".text = builtins.toJSON {
      seconds =
        contract.times.switchSeconds
        + lib.foldl' lib.max 0 (lib.mapAttrsToList (_: stack: stack.rollSeconds) stacks);
    };
  };
}
