# Slipway's own targets: the processes of stacks, the agent, the backups.
{ config, lib, ... }:
let
  cfg = config.services.slipway.telemetry;
  stacks = lib.filterAttrs (_: stack: stack.enable) (config.services.slipway.stacks or { });
  agent = config.services.slipway.agent or { enable = false; };
  namesOf = import ../stack/names.nix { inherit lib; };

  ofService =
    name: stack: key: service:
    map
      (unit: {
        job = "stack";
        inherit unit;
        address = stack.metrics.addresses."${unit}.service";
        inherit (service.metrics) path;
        fleet = service.preset == "worker";
        labels = {
          stack = name;
          service = key;
        };
      })
      (
        lib.filter (unit: stack.metrics.addresses ? "${unit}.service") ((namesOf name stack).replicas key)
      );
in
{
  config.services.slipway.telemetry.targets = lib.mkIf cfg.enable (
    lib.concatLists (
      lib.mapAttrsToList (
        name: stack: lib.concatLists (lib.mapAttrsToList (ofService name stack) stack.services)
      ) stacks
    )
    ++ lib.optional (agent.enable && agent.metricsPort != null) {
      job = "agent";
      address = "127.0.0.1:${toString agent.metricsPort}";
    }
    # Its metrics have the label `stack` themselves.
    ++ lib.optional (lib.any (stack: stack.backup.enable or false) (lib.attrValues stacks)) {
      job = "backup";
      address = "127.0.0.1:${toString config.services.slipway.backup.exporter.port}";
    }
  );
}
