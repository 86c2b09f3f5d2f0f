# The firewall's rules for a port that only some addresses may reach, as networking.firewall takes them.
{ config, lib }:
{ clients, port }:
let
  isSix = lib.hasInfix ":";
  interface = config.services.slipway.network.privateInterface or null;
  each = rule: lib.concatMapStrings (address: rule address + "\n") clients;
in
if config.networking.nftables.enable then
  {
    extraInputRules = each (
      address:
      lib.optionalString (interface != null) "iifname \"${interface}\" "
      + "${if isSix address then "ip6" else "ip"} saddr ${address} tcp dport ${toString port} accept"
    );
  }
else
  {
    extraCommands = each (
      address:
      "${if isSix address then "ip6tables" else "iptables"} -A nixos-fw "
      + lib.optionalString (interface != null) "-i ${interface} "
      + "-p tcp -s ${address} --dport ${toString port} -j nixos-fw-accept"
    );
  }
