# Shared by the files about the cluster, and by those about the stacks' databases. Modules of Slipway can be used alone, so
# the options may be missing.
{ config, lib }:
let
  cfg = config.services.slipway.cluster or { enable = false; };
  cluster = import ../../nix/cluster;
  member = cfg.enable && cfg.role == "member";
in
rec {
  inherit cfg member;
  inherit (cfg) enable;
  name = config.networking.hostName;
  # Postgres of this host is one of the cluster's, instead of services.postgresql.
  unit = if member then "slipway-patroni.service" else "postgresql.service";
  proxyUnit = "slipway-cluster-proxy.service";

  # Stacks whose Redis is one of the cluster's.
  redis = lib.filterAttrs (
    _: stack: stack.enable && cfg.enable && cfg.redis.enable && stack.cache.cluster
  ) (config.services.slipway.stacks or { });

  # Where the programs find what certificate.nix brings.
  folder = "/run/slipway-cluster";
  of = account: {
    authority = "${folder}/${account}/authority.pem";
    certificate = "${folder}/${account}/certificate.pem";
    key = "${folder}/${account}/key.pem";
  };
  accounts = {
    etcd = "slipway-etcd";
    postgres = "postgres";
    sentinel = "slipway-sentinel";
  };
  # Redis of a stack runs as an account of its own.
  redisAccount = stack: config.services.redis.servers.${stack}.user;
  own = cfg.members.${name} or { address = "127.0.0.1"; };
  # Arguments of nix/cluster that all programs share.
  common = {
    inherit (cfg)
      members
      name
      ports
      serverName
      synchronous
      watchdog
      ;
    member = name;
  };
  inherit (cluster) defaults;
  addresses = cluster.lib.addresses cfg.members;
  clients = lib.unique (addresses ++ cfg.clients);
  # One address in the form that pg_hba.conf takes.
  inherit (cluster.lib) single hostPort;
}
