# The only host that the world reaches: TLS, limits, and the app hosts behind it over TLS with certificates at both ends.
let
  fleet = import ./fleet.nix;
in
{
  imports = [ ./common.nix ];
  networking.hostName = "prod-edge";

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
          certificate = fleet.certificates.edge;
        };
      };
    };
  };
  services.slipway.agenix.stacks.slipway.upstreamTls.key = ../../secrets/prod/edge-key.age;
}
