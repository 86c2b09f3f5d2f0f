# The groups that this host is in, each with what is its own and what the others' is.
{ config, lib }:
lib.mapAttrs (
  _: group:
  group
  // {
    own = group.members.${group.member}.address or "";
    peers = lib.mapAttrs (_: member: member.address) (removeAttrs group.members [ group.member ]);
    # Where the hand-over asks keepalived to let go.
    file = "/run/slipway-floating/${group.name}";
  }
) config.services.slipway.floating
