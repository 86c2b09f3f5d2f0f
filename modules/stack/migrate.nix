# Migrations: once at boot before the replicas, and by the roll unit whenever they changed.
{ config, lib, ... }:
let
  stacks = lib.filterAttrs (
    _: stack: stack.enable && stack.migrations.enable
  ) config.services.slipway.stacks;
  hardening = import ../../nix/lib/hardening.nix;
  namesOf = import ./names.nix { inherit lib; };

  unit = name: stack: {
    description = "${name}: migrations";
    after = [ "network.target" ] ++ stack.requires;
    wants = stack.requires;
    partOf = [ (namesOf name stack).target ];
    environment = stack.environment // stack.api.environment // stack.migrations.environment;
    # The switch would run them beside the roll; the roll runs them before it.
    restartIfChanged = false;
    # Every starting replica requests them until they have succeeded once.
    unitConfig.StartLimitIntervalSec = 0;
    serviceConfig = hardening { addresses = stack.allowedAddresses; } // {
      Type = "oneshot";
      RemainAfterExit = true;
      ExecStart = lib.escapeShellArgs stack.migrations.command;
      User = stack.migrations.user;
      Group = stack.group;
      LoadCredential = lib.mapAttrsToList (secret: path: "${secret}:${path}") (
        stack.secrets // stack.migrations.secrets
      );
      TimeoutStartSec = stack.migrations.timeoutSeconds;
      MemoryMax = "${toString stack.api.limits.memoryMiB}M";
      TasksMax = stack.api.limits.tasks;
    };
  };
in
{
  systemd.services = lib.mapAttrs' (
    name: stack: lib.nameValuePair (namesOf name stack).migrate (unit name stack)
  ) stacks;
}
