# Which stack and service a unit belongs to, by the unit's whole name. The journal's word on the unit comes from the kernel,
# so a program can only speak for its own.
{ lib }:
stacks:
let
  namesOf = import ../../stack/names.nix { inherit lib; };
  serviceOf =
    name:
    { option, unit }:
    # The cache's units have the stack's name at the end, for nixpkgs names them.
    if
      lib.elem unit [
        "redis-${name}.service"
        "redis-${name}-password.service"
      ]
    then
      "cache"
    else if option == null then
      lib.removeSuffix ".service" (lib.removePrefix "${name}-" unit)
    else
      lib.last (lib.splitString "." option);
in
lib.mergeAttrsList (
  lib.mapAttrsToList (
    name: stack:
    lib.listToAttrs (
      map (
        claim:
        lib.nameValuePair claim.unit {
          stack = name;
          service = serviceOf name claim;
        }
      ) (namesOf name stack).claims
    )
  ) stacks
)
