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
  inherit (config.networking) nftables;
  interface = config.services.slipway.network.privateInterface or null;
  inherit (import ../../nix/lib/address.nix) isV6;
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
  rules = write: lib.concatLines (map (write all) cluster.addresses ++ map (write some) others);
  text = separator: ports: lib.concatMapStringsSep separator toString ports;
  on = lib.optionalString (interface != null);
in
{
  config = lib.mkIf cluster.member {
    networking.firewall = lib.mkIf config.networking.firewall.enable (
      if nftables.enable then
        {
          extraInputRules = rules (
            ports: from:
            "${on "iifname \"${toString interface}\" "}${
              if isV6 from then "ip6" else "ip"
            } saddr ${from} tcp dport { ${text ", " ports} } accept"
          );
        }
      else
        {
          extraCommands = rules (
            ports: from:
            "${
              if isV6 from then "ip6tables" else "iptables"
            } -A nixos-fw ${on "-i ${toString interface} "}-s ${from} -p tcp -m multiport --dports ${text "," ports} -j nixos-fw-accept"
          );
        }
    );
  };
}
