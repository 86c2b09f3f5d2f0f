# The names of a stack's units, sockets and folders, in one place.
{ lib }:
name: stack:
let
  of = what: "${name}-${what}";
  replicas =
    service:
    map (number: of "${service}-${toString number}") (lib.range 1 stack.services.${service}.replicas);
in
{
  inherit replicas;
  # Of all services, without stand-ins.
  all = lib.concatMap replicas (lib.attrNames stack.services);
  trial = service: of "${service}-trial";
  job = of;
  # Jobs before a start, in their order.
  startJobs = map of ((import ../../nix/stack/values.nix { inherit lib; }).startJobs stack);
  roll = of "roll";
  target = "${name}.target";
  # One that systemd opens.
  socket = unit: "/run/slipway/${name}/${lib.removePrefix "${name}-" unit}.sock";
  # One that the program opens, in a folder of its unit below /run.
  ownFolder = unit: "slipway/${name}/${lib.removePrefix "${name}-" unit}";
}
