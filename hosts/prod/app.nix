# A host with replicas of api and worker. Requests come only from the edge host, and the database and the cache are on
# another host. All connections use TLS with certificates at both ends.
{ config, lib, ... }:
let
  fleet = import ./fleet.nix;
  name = lib.removePrefix "prod-" config.networking.hostName;
  secrets = ../../secrets/prod;
  key = config.services.slipway.agenix.files.slipway-tls-key.path;
in
{
  imports = [ ./common.nix ];

  services.slipway.controlPlane = {
    enable = true;
    inherit (fleet) domain;
    secretKeyFile = config.services.slipway.agenix.files.slipway-SECRET_KEY.path;
    adminPasswordFile = config.services.slipway.agenix.files.slipway-ADMIN_PASSWORD.path;
  };

  services.slipway.stacks.slipway = {
    allowedAddresses = [
      "localhost"
      fleet.addresses.db
    ];
    database = {
      urlFile = config.services.slipway.agenix.files.database-url.path;
      owner.urlFile = config.services.slipway.agenix.files.database-owner-url.path;
    };
    cache = {
      enable = false;
      # A tunnel, because wake-ups must reach the replicas of all hosts, and the api speaks no TLS to Redis.
      remote = {
        address = fleet.addresses.db;
        name = "db.internal";
        inherit (fleet) authority;
        certificate = fleet.certificates.${name};
        inherit key;
      };
    };
    proxy = {
      listenAddresses = [ fleet.addresses.${name} ];
      trustedProxies = [ fleet.addresses.edge ];
      http3 = false;
      tls = {
        certificate = fleet.certificates.${name};
        clientAuthority = fleet.authority;
      };
    };
  };

  services.slipway.agenix = {
    stacks.slipway = {
      secrets = {
        SECRET_KEY = secrets + "/slipway-secret-key.age";
        ADMIN_PASSWORD = secrets + "/slipway-admin-password.age";
      };
      cachePassword = secrets + "/slipway-redis.age";
      tls.key = secrets + "/${name}-key.age";
    };
    files = {
      database-url = {
        file = secrets + "/slipway-database-url.age";
        restartUnits = [ "slipway-roll" ];
      };
      database-owner-url = {
        file = secrets + "/slipway-database-owner-url.age";
        restartUnits = [ "slipway-roll" ];
      };
      slipway-tls-key.restartUnits = [ "slipway-cache-tunnel" ];
    };
  };
}
