# The firewall's rules for a port that only some addresses may reach, as networking.firewall takes them.
{ config, lib }:
{
  clients,
  port,
  # The one that they come in by; null: any.
  interface ? config.services.slipway.network.privateInterface or null,
}:
let
  inherit (import ../../nix/lib/address.nix) isV6;
  each = rule: lib.concatMapStrings (address: rule address + "\n") clients;
in
if config.networking.nftables.enable then
  {
    extraInputRules = each (
      address:
      lib.optionalString (interface != null) "iifname \"${interface}\" "
      + "${if isV6 address then "ip6" else "ip"} saddr ${address} tcp dport ${toString port} accept"
    );
  }
else
  {
    extraCommands = each (
      address:
      "${if isV6 address then "ip6tables" else "iptables"} -A nixos-fw "
      + lib.optionalString (interface != null) "-i ${interface} "
      + "-p tcp -s ${address} --dport ${toString port} -j nixos-fw-accept"
    );
  }
