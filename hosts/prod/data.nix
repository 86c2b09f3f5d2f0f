# Where the app hosts have their data: Postgres and Redis of prod-db. Its place can be taken by ../ha/client.nix.
{ config, lib, ... }:
let
  fleet = import ./fleet.nix;
  name = lib.removePrefix "prod-" config.networking.hostName;
  secrets = ../../secrets/prod;
  inherit (config.services.slipway.agenix) files;
in
{
  services.slipway.stacks.slipway = {
    allowedAddresses = [
      "localhost"
      fleet.addresses.db
    ];
    database = {
      urlFile = files.database-url.path;
      owner.urlFile = files.database-owner-url.path;
    };
    cache = {
      enable = false;
      # A tunnel, because wake-ups must reach the replicas of all hosts, and the api speaks no TLS to Redis.
      remote = {
        address = fleet.addresses.db;
        name = "db.internal";
        inherit (fleet) authority;
        certificate = fleet.certificates.${name};
        key = files.slipway-tls-key.path;
      };
    };
  };
  services.slipway.agenix.files = {
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
}
