# A host with replicas of api and worker. Requests come only from the edge host, and the database and the cache are on
# other hosts. All connections use TLS.
{ config, lib, ... }:
let
  fleet = import ./fleet.nix;
  name = lib.removePrefix "prod-" config.networking.hostName;
  secrets = ../../secrets/prod;
in
{
  imports = [
    ./common.nix
    ./data.nix
  ];

  services.slipway.controlPlane = {
    enable = true;
    inherit (fleet) domain;
    secretKeyFile = config.services.slipway.agenix.files.slipway-SECRET_KEY.path;
    adminPasswordFile = config.services.slipway.agenix.files.slipway-ADMIN_PASSWORD.path;
  };

  services.slipway.stacks.slipway.proxy = {
    listenAddresses = [ fleet.addresses.${name} ];
    trustedProxies = [ fleet.addresses.edge ];
    http3 = false;
    tls = {
      certificate = fleet.certificates.${name};
      clientAuthority = fleet.authority;
    };
  };

  services.slipway.agenix.stacks.slipway = {
    secrets = {
      SECRET_KEY = secrets + "/slipway-secret-key.age";
      ADMIN_PASSWORD = secrets + "/slipway-admin-password.age";
    };
    cachePassword = secrets + "/slipway-redis.age";
    tls.key = secrets + "/${name}-key.age";
  };
}
