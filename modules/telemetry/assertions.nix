# What cannot be meant of a host's telemetry, with its cure.
{ config, lib, ... }:
let
  cfg = config.services.slipway.telemetry;
  inherit (cfg) door targets;
  option = "services.slipway.telemetry";
  shown = target: target.job + lib.optionalString (target.unit != null) " of ${target.unit}";
  word = text: builtins.match "[A-Za-z0-9_.@:-]+" text != null;
  inherit (import ../../nix/stack/texts.nix { inherit lib; }) isHost;
  loopback =
    address:
    let
      parts = builtins.match "(127\\.[0-9.]+|localhost|\\[::1]):([0-9]{1,5})" address;
      host = lib.head parts;
    in
    # Digits and dots alone are no address yet.
    parts != null
    && (!lib.hasPrefix "127" host || isHost host)
    && lib.toIntBase10 (lib.last parts) < 65536;

  ofTarget = target: [
    {
      assertion = word target.job && (target.unit == null || word target.unit);
      message = "${option}.targets has ${shown target}: job and unit become part of an address; take letters, digits and `_`, `.`, `@`, `:` or `-`.";
    }
    {
      assertion = loopback target.address;
      message = "${option}.targets has ${shown target} at ${target.address}: metrics stay on this host; let it listen on 127.0.0.1 and give that address with its port.";
    }
    {
      assertion = builtins.match "/[A-Za-z0-9._~/-]*" target.path != null;
      message = "${option}.targets has ${shown target} with the path ${target.path}: give a path that begins with `/`, without a query, which belongs into params.";
    }
  ];
  doubled = lib.filter (same: lib.length same > 1) (
    lib.attrValues (lib.groupBy (target: target.doorPath) targets)
  );

  ofDoor =
    let
      missing = lib.filter (what: door.${what} == null) [
        "certificate"
        "key"
        "authority"
      ];
    in
    [
      {
        assertion = isHost door.address;
        message = "${option}.door.address is ${door.address}: give the IP address of this host in the private network.";
      }
      {
        assertion =
          !lib.elem door.address [
            "0.0.0.0"
            "::"
          ];
        message = "${option}.door.address is every address of this host: give its address in the private network.";
      }
      {
        assertion = door.clients != [ ];
        message = "${option}.door.address is set and nobody may come in: set ${option}.door.clients to the addresses of the monitoring hosts.";
      }
      {
        assertion = lib.all isHost door.clients;
        message = "${option}.door.clients has ${
          lib.concatStringsSep ", " (lib.filter (one: !isHost one) door.clients)
        }: give IP addresses, since the firewall knows no names.";
      }
      {
        assertion = !door.tls || missing == [ ];
        message = "${option}.door speaks TLS and has no ${lib.concatStringsSep ", " missing}: set ${
          lib.concatMapStringsSep ", " (what: "${option}.door.${what}") missing
        }, or on a network that encrypts, such as WireGuard, ${option}.door.tls = false.";
      }
      {
        assertion = door.tls || door.clientNames == [ ];
        message = "${option}.door.clientNames asks for certificates, and ${option}.door.tls is off: leave the names out, or switch TLS on.";
      }
    ];
in
{
  config.assertions = lib.optionals cfg.enable (
    lib.concatMap ofTarget targets
    ++ map (same: {
      assertion = false;
      message = "${option}.targets has ${toString (lib.length same)} times ${shown (lib.head same)}, at ${
        lib.concatMapStringsSep " and " (target: target.address) same
      }: give each a unit of its own.";
    }) doubled
    ++ lib.optionals (door.address != null) ofDoor
  );
}
