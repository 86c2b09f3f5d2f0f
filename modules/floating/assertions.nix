# What cannot be meant of floating addresses, with its cure.
{ config, lib, ... }:
let
  inherit (import ../../nix/lib/ipv4.nix { inherit lib; }) addressOf isWithin;
  groups = import ./groups.nix { inherit config lib; };
  on = groups != { };
  stacks = lib.filterAttrs (
    _: stack: stack.enable && stack.proxy.served != { }
  ) config.services.slipway.stacks;

  staticOf =
    interface: map (one: one.address) (config.networking.interfaces.${interface}.ipv4.addresses or [ ]);
  everywhere = lib.concatMap staticOf (lib.attrNames config.networking.interfaces);
  # Values that more than one of the pairs has: value -> the names of these.
  shared =
    pairs:
    lib.filterAttrs (_: names: lib.length names > 1) (
      lib.mapAttrs (_: map (one: one.name)) (lib.groupBy (one: toString one.value) pairs)
    );

  ofGroup =
    name: group:
    let
      option = what: "services.slipway.floating.${name}.${what}";
      members = lib.mapAttrs (_: member: member.address) group.members;
      floating = map addressOf group.addresses;
      own = members.${group.member} or null;
      static = staticOf group.interface;
      outside = network: lib.filterAttrs (_: address: !isWithin network address) members;
    in
    [
      {
        assertion = own != null;
        message = "${option "members"} has no ${group.member}, which is this host: add it with its address, or correct ${option "member"}.";
      }
      {
        assertion = lib.length (lib.attrNames members) != 1;
        message = "${option "members"} has only ${toString (lib.attrNames members)}, so nobody could take its addresses: add a second host, or give the addresses to this one in networking.interfaces.";
      }
      {
        assertion = own == null || static == [ ] || lib.elem own static;
        message = "${option "interface"} is ${group.interface}, which has ${toString static} and not ${toString own} of ${option "members"}.${group.member}: name the interface with that address, or correct the address.";
      }
    ]
    ++ lib.mapAttrsToList (address: who: {
      assertion = false;
      message = "${option "members"} gives ${address} to ${lib.concatStringsSep " and " who}: give each host its own address.";
    }) (shared (lib.attrsToList members))
    ++ lib.concatMap (
      network:
      let
        address = addressOf network;
        same = lib.attrNames (lib.filterAttrs (_: one: one == address) members);
        far = outside network;
      in
      [
        {
          assertion = same == [ ];
          message = "${option "addresses"} has ${address}, which is that of ${toString same} itself: take one that no host has.";
        }
        {
          assertion = far == { };
          message = "${option "addresses"} has ${network}, and ${
            lib.concatStringsSep ", " (lib.mapAttrsToList (who: one: "${who} (${one})") far)
          } is in another network: correct the address or its length. Hosts without a common network share no address; use DNS instead.";
        }
        {
          assertion = !lib.elem address everywhere;
          message = "${option "addresses"} has ${address}, which networking.interfaces gives to this host for good: take it out there, keepalived sets it.";
        }
      ]
    ) group.addresses
    ++ lib.optional (lib.unique floating != floating) {
      assertion = false;
      message = "${option "addresses"} has ${toString floating}, one of them twice: leave it once.";
    };

  byId = shared (lib.mapAttrsToList (name: group: lib.nameValuePair name group.routerId) groups);
  foreign = lib.filterAttrs (
    _: instance: lib.any (group: group.routerId == instance.virtualRouterId) (lib.attrValues groups)
  ) config.services.keepalived.vrrpInstances;
  byAddress = shared (
    lib.concatLists (
      lib.mapAttrsToList (
        name: group: map (network: lib.nameValuePair name (addressOf network)) (lib.unique group.addresses)
      ) groups
    )
  );
in
{
  config.assertions = lib.mkIf on (
    lib.concatLists (lib.mapAttrsToList ofGroup groups)
    ++ lib.mapAttrsToList (id: who: {
      assertion = false;
      message = "services.slipway.floating.${lib.concatStringsSep " and services.slipway.floating." who} both have routerId ${id}, and would take each other's members for their own: give each group its own.";
    }) byId
    ++ lib.mapAttrsToList (name: instance: {
      assertion = false;
      message = "services.keepalived.vrrpInstances.${name} has virtualRouterId ${toString instance.virtualRouterId}, as a group of services.slipway.floating does: give it another.";
    }) foreign
    ++ lib.mapAttrsToList (address: who: {
      assertion = false;
      message = "services.slipway.floating.${lib.concatStringsSep " and services.slipway.floating." who} both have the address ${address}: leave it to one of them.";
    }) byAddress
    ++ [
      {
        assertion = stacks != { };
        message = "services.slipway.floating is set and nginx serves no stack here, so the addresses would lead to nothing: set services.slipway.stacks.<name>.proxy, or take services.slipway.floating away.";
      }
    ]
  );
}
