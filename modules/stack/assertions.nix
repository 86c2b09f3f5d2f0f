# Contradictions in a stack's options, each with the option and the cure.
{ config, lib, ... }:
let
  stacks = lib.filterAttrs (_: stack: stack.enable) config.services.slipway.stacks;
  contract = import ../../nix/contract.nix;

  seconds = text: builtins.match "[0-9]{1,5}" text != null;

  perStack =
    name: stack:
    let
      option = "services.slipway.stacks.${name}";
      twice =
        role:
        lib.attrNames (
          builtins.intersectAttrs stack.secrets (stack.environment // stack.${role}.environment)
        );
      asFile =
        role:
        lib.filter (secret: (stack.environment // stack.${role}.environment) ? "${secret}_FILE") (
          lib.attrNames stack.secrets
        );
      grace =
        (stack.environment // stack.api.environment).API_SHUTDOWN_GRACE_SECONDS
          or (toString contract.times.shutdownGraceSeconds);
    in
    [
      {
        assertion = builtins.match "[a-z][a-z0-9-]{0,23}" name != null;
        message = "${option}: the name becomes part of units, users and paths; take up to 24 lower-case letters, digits and `-`, a letter first.";
      }
      {
        assertion = stack.user != "root";
        message = "${option}.user is root; take a user of the stack's own.";
      }
      {
        assertion = !(seconds grace) || lib.toIntBase10 grace < stack.api.stopSeconds;
        message = "${option}.api.stopSeconds (${toString stack.api.stopSeconds}) is not longer than API_SHUTDOWN_GRACE_SECONDS (${grace}): requests would be cut; raise it, or shorten the grace in ${option}.api.environment.";
      }
    ]
    ++
      lib.concatMap
        (role: [
          {
            assertion = twice role == [ ];
            message = "${option}.${role}.environment or ${option}.environment sets ${toString (twice role)}, which ${option}.secrets has as well; remove it there, where every user of the host can read it.";
          }
          {
            assertion = asFile role == [ ];
            message = "${option}.secrets.${toString (asFile role)} is set and the environment has it with _FILE; a process refuses a secret that comes twice, so remove one.";
          }
          {
            assertion =
              let
                inherit (stack.${role}) limits;
              in
              limits.memoryHighMiB == null || limits.memoryHighMiB <= limits.memoryMiB;
            message = "${option}.${role}.limits.memoryHighMiB is above memoryMiB, so it would never be reached; lower it, or leave it null.";
          }
        ])
        [
          "api"
          "worker"
        ];
in
{
  assertions = lib.concatLists (lib.mapAttrsToList perStack stacks);
}
