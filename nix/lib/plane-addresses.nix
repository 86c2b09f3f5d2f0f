# What a service of the control plane may connect to besides what its whole stack may: `addresses`, where there are any. Such
# a value takes the place of the default in modules/stack/traces.nix, so that the takers of spans are in it too.
{ config, lib }:
let
  traces = config.services.slipway.telemetry.traces or { endpoint = null; };
  spans = lib.optionals (traces.endpoint != null) traces.addresses;
  stack = config.services.slipway.stacks.slipway;
in
addresses: lib.mkIf (addresses != [ ]) (lib.unique (stack.allowedAddresses ++ spans ++ addresses))
