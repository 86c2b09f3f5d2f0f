# Redis and Sentinel of the example's three members, by path in deploy/cluster/. What is between two `@` in capitals is to be
# put in, as for its other files; `stack`, `shop` and `cluster` are passwords, which redis-prepare.sh puts in.
let
  contract = import ../contract.nix;
  redis = import ./redis.nix;
  folder = "@FOLDER@";
  member = address: {
    inherit address;
    sentinelPort = "@SENTINEL_PORT@";
  };
  members = {
    ha-1 = member "@ADDRESS_1@";
    ha-2 = member "@ADDRESS_2@";
    ha-3 = member "@ADDRESS_3@";
  };
  group = {
    name = "shop";
    port = "@REDIS_PORT@";
    inherit (contract.redis) maxMemoryMiB policy;
    denied = import ./redis-denied.nix;
  };
  groups = [ group ];
  secret = name: "--secret=${name}=${folder}/${name}.password";

  filesOf =
    name: member:
    let
      own = "${folder}/${name}";
      tls = {
        authority = "${own}/authority.pem";
        certificate = "${own}/certificate.pem";
        key = "${own}/key.pem";
      };
      both = of: [
        "--rendered=${own}/${of}.conf"
        "--secrets=${own}/${of}.secrets"
        (secret "cluster")
      ];
    in
    {
      "${name}/redis.conf" = redis.text (
        redis.wholeServer {
          inherit group member tls;
          folder = "${own}/redis";
        }
      );
      "${name}/redis.secrets" = redis.lines (redis.serverSecrets group);
      "${name}/redis.prepare" = redis.lines (
        redis.prepare.server {
          inherit
            group
            members
            member
            tls
            ;
          state = "${own}/redis/redis.conf";
        }
        ++ both "redis"
        ++ [ "--secret=stack=${folder}/${group.name}.password" ]
      );
      "${name}/sentinel.conf" = redis.text (
        redis.sentinel {
          inherit
            groups
            members
            member
            tls
            ;
          folder = "${own}/sentinel";
        }
      );
      "${name}/sentinel.secrets" = redis.lines (redis.sentinelSecrets groups);
      "${name}/sentinel.prepare" = redis.lines (
        redis.prepare.sentinel {
          inherit groups members;
          state = "${own}/sentinel/sentinel.conf";
        }
        ++ both "sentinel"
        ++ [ (secret group.name) ]
      );
    };
in
builtins.foldl' (all: name: all // filesOf name members.${name}) {
  "redis-prepare.sh" = builtins.readFile ./redis-prepare.sh;
} (builtins.attrNames members)
