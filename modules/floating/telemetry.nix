# Which floating addresses this host may have, and which addresses it has: alerts compare the two over all hosts.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (import ../../nix/lib/ipv4.nix { inherit lib; }) addressOf;
  groups = import ./groups.nix { inherit config lib; };
  watched = config.services.slipway.telemetry.enable or false;
  series =
    name: group:
    map (
      network: "slipway_floating_address{group=\"${name}\",address=\"${addressOf network}\"} 1"
    ) group.addresses;
in
{
  config = lib.mkIf (groups != { } && watched) {
    # Where modules/telemetry/facts.nix has its own.
    systemd.tmpfiles.settings."20-slipway-floating"."/run/slipway-telemetry/floating.prom"."L+".argument =
      "${pkgs.writeText "floating.prom" (
        lib.concatLines (
          [
            "# HELP slipway_floating_address A floating address that this host may have."
            "# TYPE slipway_floating_address gauge"
          ]
          ++ lib.concatLists (lib.mapAttrsToList series groups)
        )
      )}";
    services.prometheus.exporters.node.extraFlags = [ "--collector.netdev.address-info" ];
  };
}
