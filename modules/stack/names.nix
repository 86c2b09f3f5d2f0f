# The names of a stack's units and sockets, in one place.
{ lib }:
name: stack:
let
  numbered = count: map toString (lib.range 1 count);
  ofRole = role: map (number: "${name}-${role}-${number}") (numbered stack.${role}.replicas);
in
{
  api = ofRole "api";
  worker = ofRole "worker";
  trial = role: "${name}-${role}-trial";
  migrate = "${name}-migrate";
  roll = "${name}-roll";
  target = "${name}.target";
  socket = unit: "/run/slipway/${name}/${lib.removePrefix "${name}-" unit}.sock";
}
