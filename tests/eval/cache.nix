# The stack's Redis, on one host and across hosts.
{
  host,
  saysAmong,
  stack,
  lib,
  ...
}:
let
  at = "services.slipway.stacks.shop.cache";
  config = host [ (stack { }) ];
  redis = config.services.redis.servers.shop;
  tls = {
    certificate = "/etc/fleet/db.pem";
    key = "/run/secrets/db-key";
    authority = "/etc/fleet/authority.pem";
  };
  remote = tls // {
    address = "10.1.0.20";
    name = "db.internal";
  };
  says =
    name: words: cache:
    saysAmong name words [ (stack { inherit cache; }) ];
  away = host [
    (stack {
      cache = {
        enable = false;
        passwordFile = "/run/secrets/redis";
        inherit remote;
      };
    })
  ];
in
[
  {
    name = "one of its own, on a socket, that keeps nothing";
    got = {
      inherit (redis)
        port
        save
        appendOnly
        unixSocket
        requirePassFile
        ;
      inherit (redis.settings) maxmemory maxmemory-policy;
    };
    want = {
      port = 0;
      save = [ ];
      appendOnly = false;
      unixSocket = "/run/redis-shop/redis.sock";
      requirePassFile = "/run/slipway-cache/shop/password";
      maxmemory = "256mb";
      maxmemory-policy = "allkeys-lru";
    };
  }
  {
    name = "both ends have the password, and only as a credential";
    got = [
      (lib.elem "REDIS_PASSWORD:/run/slipway-cache/shop/password" config.systemd.services.shop-api-1.serviceConfig.LoadCredential)
      config.systemd.services.shop-api-1.environment.REDIS_HOST
      (config.systemd.services.shop-api-1.environment ? REDIS_PASSWORD)
    ];
    want = [
      true
      "/run/redis-shop/redis.sock"
      false
    ];
  }
  {
    name = "the stack's user may connect";
    got = config.users.users.shop.extraGroups;
    want = [ "redis-shop" ];
  }
  {
    name = "no Redis where none is wanted";
    got =
      let
        without = host [ (stack { cache.enable = false; }) ];
      in
      [
        without.services.redis.servers
        (without.systemd.services.shop-api-1.environment ? REDIS_HOST)
      ];
    want = [
      { }
      false
    ];
  }
  {
    name = "elsewhere: a tunnel in the place of its socket";
    got = [
      away.systemd.services.shop-api-1.environment.REDIS_HOST
      (away.systemd.services ? shop-cache-tunnel)
      away.systemd.services.shop-cache-tunnel.serviceConfig.IPAddressAllow
      away.services.redis.servers
    ];
    want = [
      "/run/slipway-cache-tunnel/shop/redis.sock"
      true
      [ "10.1.0.20" ]
      { }
    ];
  }
  {
    name = "elsewhere by its address: a secret, and the sandbox lets it through";
    got =
      let
        its = host [ (stack { cache.urlFile = "/run/secrets/redis-url"; }) ];
        shop = its.services.slipway.stacks.shop;
      in
      {
        inherit (shop) allowedAddresses;
        inherit (shop.secrets) REDIS_URL;
        servers = its.services.redis.servers;
        variable = shop.environment ? REDIS_HOST;
      };
    want = {
      allowedAddresses = [ "any" ];
      REDIS_URL = "/run/secrets/redis-url";
      servers = { };
      variable = false;
    };
  }
  {
    name = "a host that uses another one's Redis needs no word about its own";
    got =
      (host [
        (stack {
          cache = {
            passwordFile = "/run/secrets/redis";
            inherit remote;
          };
        })
      ]).services.redis.servers;
    want = { };
  }
  {
    name = "a port and a password that are changed are nowhere else by their defaults";
    got =
      let
        its = host [
          (stack {
            cache = {
              passwordFile = "/run/secrets/redis";
              network = tls // {
                listenAddress = "10.1.0.20";
                port = 16379;
              };
            };
          })
          { services.slipway.network.privateInterface = "ens10"; }
        ];
      in
      {
        open = its.networking.firewall.interfaces.ens10.allowedTCPPorts;
        listens = its.services.redis.servers.shop.settings.tls-port;
        made = its.systemd.services ? redis-shop-password;
        read = its.services.redis.servers.shop.requirePassFile;
      };
    want = {
      open = [ 16379 ];
      listens = 16379;
      made = false;
      read = "/run/secrets/redis";
    };
  }
  (says "an address beside one's own" [ "cache.enable" "cache.urlFile" ] {
    enable = true;
    urlFile = "/run/secrets/redis-url";
  })
  (says "an address beside a tunnel" [ "${at}.urlFile" "${at}.remote.address" ] {
    urlFile = "/run/secrets/redis-url";
    passwordFile = "/run/secrets/redis";
    inherit remote;
  })
  (says "a listener without a Redis" [ "${at}.network.listenAddress" "${at}.enable" ] {
    enable = false;
    network = tls // {
      listenAddress = "10.1.0.20";
    };
    passwordFile = "/run/secrets/redis";
  })
  (says "two at once" [ "${at}.enable = false" ] {
    enable = true;
    inherit remote;
    passwordFile = "/run/secrets/redis";
  })
  (says "a listener without TLS" [ "${at}.network.certificate" "without TLS" ] {
    network.listenAddress = "10.1.0.20";
    passwordFile = "/run/secrets/redis";
  })
  (says "a listener for the world" [ "${at}.network.listenAddress" "private network" ] {
    network = tls // {
      listenAddress = "0.0.0.0";
    };
    passwordFile = "/run/secrets/redis";
  })
  (says "a password that only this host has" [ "${at}.passwordFile" "all hosts" ] {
    network = tls // {
      listenAddress = "10.1.0.20";
    };
  })
  (says "a tunnel without certificates" [ "${at}.remote.name" "without TLS" ] {
    enable = false;
    remote.address = "10.1.0.20";
    passwordFile = "/run/secrets/redis";
  })
  (says "a tunnel without the password" [ "${at}.passwordFile" "${at}.remote.address" ] {
    enable = false;
    inherit remote;
  })
]
