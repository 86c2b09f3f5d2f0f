# Two hosts before the app hosts of hosts/prod that share the public address, in place of prod-edge. Either may die
# (docs/edge.md). Give every host its name and its own files in /var/lib/edge: edge.pem and edge-key.pem, by which
# the app hosts know it. Their `trustedProxies` then name both.
{ config, ... }:
let
  fleet = import ../prod/fleet.nix;
  shared = {
    # The network of the public address, and each host's own one in it.
    interface = "eth0";
    prefixLength = 24;
    addresses = [ "203.0.113.10/24" ];
    members = {
      edge-1.address = "203.0.113.11";
      edge-2.address = "203.0.113.12";
    };
  };
in
{
  networking.interfaces.${shared.interface}.ipv4.addresses = [
    {
      inherit (shared.members.${config.networking.hostName}) address;
      inherit (shared) prefixLength;
    }
  ];

  services.slipway.floating.edge = {
    inherit (shared) members addresses interface;
    routerId = 51;
  };

  security.acme = {
    acceptTerms = true;
    defaults.email = "ops@example.com";
  };
  services.slipway.stacks.slipway = {
    # Only the stack's proxy runs here.
    services.api = {
      preset = "api";
      replicas = 0;
    };
    jobs.migrate.enable = false;
    database.enable = false;
    cache.enable = false;
    proxy = {
      inherit (fleet) domain;
      upstream = {
        servers = map (app: "${fleet.addresses.${app}}:443") fleet.apps;
        tls = {
          inherit (fleet) authority;
          certificate = "/var/lib/edge/edge.pem";
          key = "/var/lib/edge/edge-key.pem";
        };
      };
    };
  };

  services.slipway.agent = {
    enable = true;
    apiUrl = "https://${fleet.domain}";
    tokenFile = "/var/lib/edge/agent-token";
  };
}
