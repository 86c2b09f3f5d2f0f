# The host with Postgres and Redis. Both listen on the private address, with TLS only: Postgres asks for the role's
# password, Redis for a certificate of the fleet and its password.
{ config, ... }:
let
  fleet = import ./fleet.nix;
  secrets = ../../secrets/prod;
  inherit (config.services.slipway.agenix) files;
in
{
  imports = [ ./common.nix ];
  networking.hostName = "prod-db";

  services.slipway.stacks.slipway = {
    # Its programs run on the app hosts.
    database = {
      enable = true;
      passwordFile = files.database-password.path;
      owner = {
        role = "slipway-owner";
        passwordFile = files.database-owner-password.path;
      };
      network = {
        enable = true;
        addresses = map (app: "${fleet.addresses.${app}}/32") fleet.apps;
        tls = true;
      };
    };
    cache = {
      enable = true;
      network = {
        listenAddress = fleet.addresses.db;
        inherit (fleet) authority;
        certificate = fleet.certificates.db;
        key = files.db-key-redis.path;
      };
    };
  };

  services.slipway.database.network = {
    listen = [ fleet.addresses.db ];
    certificateFile = "/etc/slipway/fleet-certificate.pem";
    keyFile = files.db-key.path;
  };
  # No process of the stack is here to judge a release by.
  services.slipway.agent.checks = {
    Postgres = {
      type = "tcp";
      address = "${fleet.addresses.db}:5432";
    };
    Redis = {
      type = "systemd";
      unit = "redis-slipway.service";
    };
  };

  services.slipway.agenix = {
    stacks.slipway.cachePassword = secrets + "/slipway-redis.age";
    files = {
      database-password = {
        file = secrets + "/slipway-database-password.age";
        restartUnits = [ "slipway-database" ];
      };
      database-owner-password = {
        file = secrets + "/slipway-database-owner-password.age";
        restartUnits = [ "slipway-database" ];
      };
      db-key = {
        file = secrets + "/db-key.age";
        restartUnits = [ "slipway-database-certificate" ];
      };
      # The same key for another user.
      db-key-redis = {
        file = secrets + "/db-key.age";
        owner = "redis-slipway";
        restartUnits = [ "redis-slipway" ];
      };
    };
  };
}
