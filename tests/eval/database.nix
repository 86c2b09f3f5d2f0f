# The stack's Postgres: its version and setup, how processes find it, here or elsewhere, and how it is sized.
{
  host,
  stack,
  standIn,
  lib,
  pkgs,
  ...
}:
let
  inherit (import ./database-tools.nix { inherit host stack standIn; })
    with'
    server'
    config
    ;
  server = config.services.postgresql;
  away = host (with' {
    urlFile = "/run/secrets/url";
  });
  shop = config: config.services.slipway.stacks.shop;
  sized = import ../../modules/stack/database/sizing.nix { inherit lib; };
in
[
  {
    name = "a stack without a preset gets a database and a Redis only when it asks";
    got =
      let
        on =
          more:
          let
            its = host [
              {
                services.slipway.stacks.plain = {
                  services.web.package = standIn "web";
                }
                // more;
              }
            ];
          in
          [
            its.services.postgresql.enable
            (its.services.redis.servers ? plain)
          ];
      in
      map on [
        { }
        { database.enable = true; }
        { cache.enable = true; }
      ];
    want = [
      [
        false
        false
      ]
      [
        true
        false
      ]
      [
        false
        true
      ]
    ];
  }
  {
    name = "another port is where setup, processes and backups look for the server";
    got =
      let
        its = host [
          (stack { })
          { services.postgresql.settings.port = 5433; }
        ];
      in
      {
        setup = its.systemd.services.shop-database.environment.PGPORT;
        processes = its.services.slipway.stacks.shop.environment.DATABASE_PORT;
        backup =
          (builtins.fromJSON (
            builtins.unsafeDiscardStringContext its.environment.etc."slipway/backup/shop.json".text
          )).database.port;
      };
    want = {
      setup = "5433";
      processes = "5433";
      backup = 5433;
    };
  }
  {
    name = "no empty cluster is begun beside another version's";
    got = map (words: lib.hasInfix words config.systemd.services.postgresql.preStart) [
      "/var/lib/postgresql/*/PG_VERSION"
      "set services.slipway.database.package"
    ];
    want = [
      true
      true
    ];
  }
  {
    name = "a server of another major version is begun with what that version knows";
    got =
      map
        (
          package:
          lib.elem "--locale-provider=builtin"
            (host [
              (stack { })
              { services.postgresql.package = pkgs.${package}; }
            ]).services.postgresql.initdbArgs
        )
        [
          "postgresql_16"
          "postgresql_17"
        ];
    want = [
      false
      true
    ];
  }
  {
    name = "a server that recovers is not ended midway, and its setup waits for it and comes with it";
    got = {
      inherit (config.systemd.services.postgresql.serviceConfig) TimeoutStartSec TimeoutStopSec;
      setup = {
        inherit (config.systemd.services.shop-database) wantedBy;
        inherit (config.systemd.services.shop-database.serviceConfig) TimeoutStartSec Restart;
      };
    };
    want = {
      TimeoutStartSec = "infinity";
      TimeoutStopSec = "10min";
      setup = {
        wantedBy = [
          "multi-user.target"
          "postgresql.service"
          "shop.target"
        ];
        TimeoutStartSec = "infinity";
        Restart = "on-failure";
      };
    };
  }
  {
    name = "a stack that starts after a restore finds its database's owner and rights set right";
    got = {
      inherit (config.systemd.services.shop-database) partOf;
      target = lib.elem "shop.target" config.systemd.services.shop-database.wantedBy;
      first = lib.elem "shop-database.service" config.systemd.services.shop-api-1.after;
    };
    want = {
      partOf = [ "shop.target" ];
      target = true;
      first = true;
    };
  }
  {
    name = "a managed server is reached by its name, encrypted, and the sandbox lets that through";
    got =
      map
        (
          database:
          let
            its = host (with' database);
          in
          {
            inherit (shop its) allowedAddresses;
            environment = lib.filterAttrs (name: _: lib.hasPrefix "DATABASE_" name) (shop its).environment;
            secrets = lib.attrNames (shop its).secrets;
            server = its.services.postgresql.enable;
          }
        )
        [
          {
            host = "shop.db.example.net";
            port = 25060;
            user = "app";
            passwordFile = "/run/secrets/shop-database";
          }
          {
            host = "10.0.0.9";
            passwordFile = "/run/secrets/shop-database";
            caFile = "/etc/ca.pem";
          }
        ];
    want = [
      {
        allowedAddresses = [ "any" ];
        environment = {
          DATABASE_HOST = "shop.db.example.net";
          DATABASE_NAME = "shop";
          DATABASE_PORT = "25060";
          DATABASE_SSL_MODE = "verify-full";
          DATABASE_USER = "app";
        };
        secrets = [
          "DATABASE_PASSWORD"
          "REDIS_PASSWORD"
        ];
        server = false;
      }
      {
        allowedAddresses = [
          "localhost"
          "10.0.0.9"
        ];
        environment = {
          DATABASE_HOST = "10.0.0.9";
          DATABASE_NAME = "shop";
          DATABASE_SSL_MODE = "verify-full";
          DATABASE_SSL_ROOT_CERT = "/etc/ca.pem";
          DATABASE_USER = "shop";
        };
        secrets = [
          "DATABASE_PASSWORD"
          "REDIS_PASSWORD"
        ];
        server = false;
      }
    ];
  }
  {
    name = "a stack without a database has none of its variables, and no server runs for it";
    got =
      let
        without = host (with' {
          enable = false;
        });
      in
      {
        environment = lib.filterAttrs (name: _: lib.hasPrefix "DATABASE_" name) (shop without).environment;
        inherit (without.services.postgresql) enable;
      };
    want = {
      environment = { };
      enable = false;
    };
  }
  {
    name = "every pool is counted, with a stand-in's";
    got = map (options: (shop (host [ (stack options) ])).database.connections) [
      { }
      { environment.DATABASE_POOL_SIZE = 5; }
      {
        services.web = {
          package = standIn "web";
          listen.port = 4000;
        };
      }
      { services.worker.connections = 1; }
    ];
    want = [
      # Three replicas of the api and its stand-in, two workers and a stand-in, and the migrations.
      (4 * 30 + 3 * 30 + 2)
      (4 * 15 + 3 * 15 + 2)
      (4 * 30 + 3 * 30 + 2 + 2 * 10)
      (4 * 30 + 3 + 2)
    ];
  }
  {
    name = "processes find it through the socket and wait for role and database";
    got = {
      socket = lib.all (unit: lib.elem unit config.services.slipway.stacks.shop.requires) [
        "postgresql.service"
        "shop-database.service"
      ];
      environment = lib.filterAttrs (
        name: _: lib.hasPrefix "DATABASE_" name
      ) config.services.slipway.stacks.shop.environment;
    };
    want = {
      socket = true;
      environment = {
        DATABASE_HOST = "/run/postgresql";
        DATABASE_NAME = "shop";
        DATABASE_USER = "shop";
      };
    };
  }
  {
    name = "a server elsewhere is a secret, and none runs here";
    got = {
      inherit (away.services.postgresql) enable;
      secret = away.services.slipway.stacks.shop.secrets.DATABASE_URL;
      backup = away.services.slipway.stacks.shop.backup.enable;
    };
    want = {
      enable = false;
      secret = "/run/secrets/url";
      backup = false;
    };
  }
  {
    name = "4 GiB for 450 connections";
    got = sized {
      memoryMiB = 4096;
      maxConnections = 450;
    };
    want = {
      shared_buffers = "1024MB";
      effective_cache_size = "3072MB";
      maintenance_work_mem = "256MB";
      work_mem = "4096kB";
    };
  }
  {
    name = "64 GiB for 100 connections";
    got = sized {
      memoryMiB = 65536;
      maxConnections = 100;
    };
    want = {
      shared_buffers = "16384MB";
      effective_cache_size = "49152MB";
      maintenance_work_mem = "2048MB";
      work_mem = "167772kB";
    };
  }
  {
    name = "given memory is in the configuration, and nothing is looked up at boot";
    got = {
      inherit (server.settings) shared_buffers;
      looks = config.systemd.services ? slipway-database-memory;
      derived = (host [ (stack { }) ]).systemd.services ? slipway-database-memory;
    };
    want = {
      shared_buffers = "1024MB";
      looks = false;
      derived = true;
    };
  }
  {
    name = "a server that fails is started again for as long as it takes";
    got = {
      inherit (config.systemd.services.postgresql.serviceConfig) Restart;
      inherit (config.systemd.services.postgresql.unitConfig) StartLimitIntervalSec;
    };
    want = {
      Restart = "always";
      StartLimitIntervalSec = 0;
    };
  }
  {
    name = "the host's own settings win";
    got =
      (host [
        (stack { })
        (server' { settings.random_page_cost = 2.5; })
      ]).services.postgresql.settings.random_page_cost;
    want = 2.5;
  }
]
