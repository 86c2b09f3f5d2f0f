# Who may reach a member: other members all of it, those that use the cluster Postgres and the question who leads, and nobody
# else. The rules are by address, since other hosts share the private network.
{
  config,
  lib,
  ...
}:
let
  cluster = import ./lib.nix { inherit config lib; };
  database = import ../stack/database/lib.nix { inherit config lib; };
  inherit (cluster) cfg;
  inherit (cfg) ports;
  all = [
    ports.postgres
    ports.patroni
    ports.etcdClient
    ports.etcdPeer
  ]
  ++ redis;
  some = [
    ports.postgres
    ports.patroni
  ]
  ++ redis;
  redis = lib.optionals (cluster.redis != { }) (
    [ cfg.redis.sentinelPort ] ++ map (stack: stack.cache.network.port) (lib.attrValues cluster.redis)
  );
  networks = lib.unique (
    lib.concatMap (stack: stack.database.network.addresses) (lib.attrValues database.networked)
  );
  others = lib.subtractLists cluster.addresses (lib.unique (cfg.clients ++ networks));
  allow = import ../allow.nix { inherit config lib; };
in
{
  config = lib.mkIf cluster.member {
    networking.firewall = lib.mkIf config.networking.firewall.enable (
      lib.mkMerge [
        (allow {
          clients = cluster.addresses;
          ports = all;
        })
        (allow {
          clients = others;
          ports = some;
        })
      ]
    );
  };
}
