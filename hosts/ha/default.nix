# A host with one of three Postgres servers and of three Redis; any one of them may die. Its programs run on other hosts, which have the same
# `services.slipway.cluster` with role = "client".
{
  config,
  lib,
  self,
  ...
}:
let
  cluster = import ./cluster.nix;
  name = config.networking.hostName;
  secret = file: "/var/lib/secrets/${file}";
  interface = "ens10";
in
{
  networking.interfaces.${interface}.ipv4.addresses = [
    {
      inherit (cluster.members.${name}) address;
      prefixLength = 24;
    }
  ];

  services.slipway = {
    network.privateInterface = interface;
    cluster = lib.recursiveUpdate cluster {
      enable = true;
      redis.passwordFile = secret "cluster-redis";
      certificate = ./certificates + "/${name}.pem";
      key = secret "cluster-key";
      replicationPasswordFile = secret "cluster-replication";
      rewindPasswordFile = secret "cluster-rewind";
      operatorPasswordFile = secret "cluster-operator";
      # The build says when two of them do not agree.
      hosts = lib.filterAttrs (host: _: cluster.members ? ${host}) self.nixosConfigurations;
    };

    # The same on all three; whichever leads makes the roles and the database.
    stacks.slipway.database = {
      enable = true;
      passwordFile = secret "slipway-database-password";
      owner = {
        role = "slipway-owner";
        passwordFile = secret "slipway-database-owner-password";
      };
    };
    # Programs on other hosts have the same two lines.
    stacks.slipway.cache = {
      cluster = true;
      passwordFile = secret "slipway-redis";
    };
    # For a host with 3 GiB of memory or more.
    database.memoryMiB = 2048;

    agent = {
      enable = true;
      apiUrl = "https://deploy.example.com";
      tokenFile = secret "slipway-agent-token";
    };
  };
}
