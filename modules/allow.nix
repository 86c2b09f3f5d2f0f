# The firewall's rules for what only some addresses may reach, as networking.firewall takes them. Other hosts share a private
# network, so an interface alone is not enough.
{ config, lib }:
{
  clients,
  # TCP ports, or the number of a protocol that has none.
  ports ? [ ],
  protocol ? null,
  # The one that they come in by; null: any.
  interface ? config.services.slipway.network.privateInterface or null,
}:
let
  inherit (import ../nix/lib/address.nix) isV6;
  inherit (config.networking) nftables;
  several = lib.length ports > 1;
  numbers = separator: lib.concatMapStringsSep separator toString ports;

  nft =
    address:
    lib.optionalString (interface != null) ''iifname "${interface}" ''
    + "${if isV6 address then "ip6" else "ip"} saddr ${address} "
    + (
      if protocol != null then
        "meta l4proto ${toString protocol}"
      else
        "tcp dport ${if several then "{ ${numbers ", "} }" else numbers ""}"
    )
    + " accept";
  iptables =
    address:
    "${if isV6 address then "ip6tables" else "iptables"} -A nixos-fw "
    + lib.optionalString (interface != null) "-i ${interface} "
    + "-p ${if protocol != null then toString protocol else "tcp"} -s ${address} "
    + lib.optionalString (protocol == null) (
      if several then "-m multiport --dports ${numbers ","} " else "--dport ${numbers ""} "
    )
    + "-j nixos-fw-accept";
in
{
  ${if nftables.enable then "extraInputRules" else "extraCommands"} = lib.concatMapStrings (
    address: (if nftables.enable then nft else iptables) address + "\n"
  ) clients;
}
