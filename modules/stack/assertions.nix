# Contradictions in a stack's options, each with the option and the cure.
{ config, lib, ... }:
let
  stacks = lib.filterAttrs (_: stack: stack.enable) config.services.slipway.stacks;
  contract = import ../../nix/contract.nix;

  reserved = import ./reserved.nix;
  values = import ../../nix/stack/values.nix { inherit lib; };
  inherit (import ../../nix/stack/texts.nix { inherit lib; }) isName;

  seconds = text: builtins.match "[0-9]{1,5}" text != null;

  perStack =
    name: stack:
    let
      option = "services.slipway.stacks.${name}";
      started = one: {
        # On an edge host it has no process.
        assertion = one.program.replicas or 1 == 0 || one.program.command != [ ];
        message = "${option}.${one.option}.package is not set, and command is not either: name the package of the program.";
      };
      drain =
        key: service:
        let
          grace =
            (values.environment stack service).API_SHUTDOWN_GRACE_SECONDS
              or (toString contract.times.shutdownGraceSeconds);
        in
        {
          assertion =
            service.preset != "api" || !(seconds grace) || lib.toIntBase10 grace < service.stopSeconds;
          message = "${option}.services.${key}.stopSeconds (${toString service.stopSeconds}) is not longer than API_SHUTDOWN_GRACE_SECONDS (${grace}): requests would be cut; raise it, or shorten the grace in ${option}.services.${key}.environment.";
        };
    in
    [
      {
        assertion = isName name;
        message = "${option}: the name becomes part of units, users and paths; take up to 24 lower-case letters, digits and `-`, a letter first and no `-` last.";
      }
      {
        assertion = !lib.elem name reserved.targets;
        message = "${option}: ${name}.target is one of systemd's own, and a stack's target has the stack's name: rename the stack.";
      }
    ]
    ++ map started (values.programs stack)
    ++ lib.mapAttrsToList drain stack.services
    # What the description finds by itself.
    ++ map (one: one // { message = "${option}.${one.message}"; }) stack.assertions;
in
{
  assertions = lib.concatLists (lib.mapAttrsToList perStack stacks);
  warnings = lib.concatLists (
    lib.mapAttrsToList (
      name: stack: map (warning: "services.slipway.stacks.${name}: ${warning}") stack.warnings
    ) stacks
  );
}
