# Addresses that clients ask and that one of several hosts with nginx has at a time (docs/edge.md).
{
  config,
  lib,
  ...
}:
let
  contract = import ../../nix/contract.nix;
  cfg = config.services.slipway.floating;
  on = cfg != { };
  groups = import ./groups.nix { inherit config lib; };
  allow = import ../allow.nix { inherit config lib; };
  clients = lib.unique (lib.concatMap (group: lib.attrValues group.peers) (lib.attrValues groups));
in
{
  imports = [
    ./options.nix
    ./assertions.nix
    ./challenges.nix
    ./hand-over.nix
    ./keepalived.nix
    ./telemetry.nix
  ];

  config = lib.mkIf on {
    services.nginx = {
      enable = true;
      # What the others and this host itself ask whether nginx answers.
      virtualHosts.slipway-floating = {
        serverName = "slipway-floating";
        listen = [
          {
            addr = "0.0.0.0";
            port = contract.ports.floating;
            ssl = false;
          }
        ];
        extraConfig = lib.concatLines (
          [ "access_log off;" ]
          ++ map (address: "allow ${address};") ([ "127.0.0.1" ] ++ clients)
          ++ [ "deny all;" ]
        );
        locations = {
          "= /".return = "204";
          "/".return = "404";
        };
      };
    };
    networking.firewall = lib.mkIf (clients != [ ]) (allow {
      inherit clients;
      ports = [ contract.ports.floating ];
      interface = null;
    });
    # A server of one's own may listen on the address, which is not here most of the time.
    boot.kernel.sysctl."net.ipv4.ip_nonlocal_bind" = true;
  };
}
