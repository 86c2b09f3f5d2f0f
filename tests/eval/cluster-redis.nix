# Redis with replicas on the members of a cluster, and stacks that use it.
{
  host,
  says,
  saysAmong,
  lib,
  standIn,
  ...
}:
let
  tools = import ./cluster-tools.nix { inherit host lib; };
  inherit (tools) members secret;
  redis = {
    enable = true;
    passwordFile = secret "redis";
  };
  cache.passwordFile = secret "shop-redis";
  stack = cache: {
    services.slipway.stacks.shop = {
      services.web.package = standIn "web";
      inherit cache;
    };
  };
  modules =
    more: of:
    tools.modules "ha-2" { inherit redis; }
    ++ [
      (stack ({ cluster = true; } // cache // of))
      more
    ];
  member = host (modules { } { });
  server = member.services.redis.servers.shop;
  units = member.systemd.services;
  shop = config: config.services.slipway.stacks.shop;
  variables =
    config: lib.filterAttrs (name: _: lib.hasPrefix "REDIS_" name) (shop config).environment;
  client = host [
    {
      networking.hostName = "app-1";
      services.slipway.cluster = {
        enable = true;
        role = "client";
        redis.enable = true;
        inherit members;
        inherit (tools.cluster) authority;
      };
    }
    (stack ({ cluster = true; } // cache))
  ];
  found = {
    REDIS_SENTINELS = "10.1.0.21:26379,10.1.0.22:26379,10.1.0.23:26379";
    REDIS_SENTINEL_MASTER = "shop";
    REDIS_TLS = "on";
    REDIS_TLS_CA = "${tools.cluster.authority}";
    REDIS_TLS_NAME = "main.cluster.internal";
  };
  secrets = config: {
    inherit ((shop config).secrets) REDIS_PASSWORD REDIS_SENTINEL_PASSWORD;
  };
  option = "services.slipway.stacks.shop.cache";
  refuses =
    name: words: of:
    saysAmong "cluster: Redis: ${name}" words (modules { } of);
in
[
  {
    name = "cluster: a member's Redis listens with TLS only, with users in the place of one password";
    got = {
      inherit (server) bind port requirePassFile;
      inherit (server.settings) tls-port tls-replication min-replicas-to-write;
      renamed = server.settings ? rename-command;
    };
    want = {
      bind = "10.1.0.22";
      port = 0;
      requirePassFile = null;
      tls-port = 6380;
      tls-replication = true;
      min-replicas-to-write = 1;
      renamed = false;
    };
  }
  {
    name = "cluster: Redis comes back only after the Sentinels have another primary";
    got = units.redis-shop.serviceConfig.RestartSec > 5;
    want = true;
  }
  {
    name = "cluster: Redis and Sentinel get passwords as credentials";
    got = lib.concatMap (unit: units.${unit}.serviceConfig.LoadCredential) [
      "redis-shop"
      "slipway-sentinel"
    ];
    want = [
      "cluster:/run/secrets/redis"
      "cluster:/run/secrets/redis"
      "stack-shop:/run/secrets/shop-redis"
    ];
  }
  {
    name = "cluster: another certificate restarts no Redis, whose files have the same paths, and is taken by a reload";
    got = {
      inherit (server.settings) tls-cert-file tls-key-file;
      reload = lib.hasInfix "slipway-redis-renew" (toString units.redis-shop.serviceConfig.ExecReload);
    };
    want = {
      tls-cert-file = "/run/slipway-cluster/redis-shop/certificate.pem";
      tls-key-file = "/run/slipway-cluster/redis-shop/key.pem";
      reload = true;
    };
  }
  {
    name = "cluster: the file of Redis is made last before it starts";
    got = lib.hasInfix "slipway-redis-prepare" (lib.last units.redis-shop.serviceConfig.ExecStartPre);
    want = true;
  }
  {
    name = "cluster: members and clients find the primary through the Sentinels";
    got = map variables [
      member
      client
    ];
    want = [
      found
      found
    ];
  }
  {
    name = "cluster: both passwords of a stack are one file";
    got = secrets client;
    want = {
      REDIS_PASSWORD = "/run/secrets/shop-redis";
      REDIS_SENTINEL_PASSWORD = "/run/secrets/shop-redis";
    };
  }
  {
    name = "cluster: programs may talk to the members";
    got = lib.subtractLists (shop client).allowedAddresses [
      "localhost"
      "10.1.0.21"
      "10.1.0.22"
      "10.1.0.23"
    ];
    want = [ ];
  }
  {
    name = "cluster: a client runs neither Redis nor Sentinel";
    got = [
      client.services.redis.servers
      (client.systemd.services ? slipway-sentinel)
    ];
    want = [
      { }
      false
    ];
  }
  {
    name = "cluster: a stack without Redis on a member";
    got =
      let
        config = host (
          modules { } {
            cluster = false;
            enable = false;
          }
        );
      in
      [
        config.services.redis.servers
        (variables config)
        (config.systemd.services ? slipway-sentinel)
      ];
    want = [
      { }
      { }
      false
    ];
  }
  {
    name = "Sentinels of somebody else, by name";
    got =
      let
        config = host [
          (stack (
            cache
            // {
              sentinels = {
                addresses = [
                  "sentinel-1.example.com"
                  "[fd00::1]:26380"
                ];
                primary = "mymaster";
              };
            }
          ))
        ];
      in
      {
        variables = variables config;
        inherit (shop config) allowedAddresses;
      };
    want = {
      variables = {
        REDIS_SENTINELS = "sentinel-1.example.com,[fd00::1]:26380";
        REDIS_SENTINEL_MASTER = "mymaster";
        REDIS_TLS = "on";
      };
      allowedAddresses = [ "any" ];
    };
  }
  (refuses "a stack with cluster and without Redis"
    [ "${option}.enable is false" "${option}.cluster = false" ]
    {
      enable = false;
    }
  )
  (refuses "a password that only this host has" [ "${option}.passwordFile" "all hosts" ] {
    passwordFile = lib.mkForce "/run/slipway-cache/shop/password";
  })
  (refuses "an address of its own" [ "${option}.network.listenAddress" ] {
    network.listenAddress = "10.1.0.9";
  })
  (saysAmong "cluster: Redis: no password among members" [
    "services.slipway.cluster.redis.passwordFile is not set"
  ] (modules { services.slipway.cluster.redis.passwordFile = lib.mkForce null; } { }))
  (saysAmong "cluster: Redis: two stacks with one port"
    [
      "services.slipway.stacks.blog.cache.network.port and ${option}.network.port are both 6380"
    ]
    (
      modules {
        services.slipway.stacks.blog.cache = cache // {
          cluster = true;
        };
      } { }
    )
  )
  (saysAmong "Sentinels and no password"
    [ "${option}.passwordFile is not set" ]
    [
      (stack { sentinels.addresses = [ "10.1.0.21" ]; })
    ]
  )
  (saysAmong "two Sentinels in one entry"
    [ "${option}.sentinels.addresses has an entry with a comma" ]
    [
      (stack { sentinels.addresses = [ "10.1.0.21:26379,10.1.0.22:26379" ]; })
    ]
  )
  (saysAmong "Sentinels and an address"
    [ "${option}.sentinels.addresses" "${option}.urlFile" ]
    [
      (stack (
        cache
        // {
          sentinels.addresses = [ "10.1.0.21" ];
          urlFile = "/run/secrets/url";
        }
      ))
    ]
  )
]
