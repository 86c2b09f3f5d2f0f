# The stack's Postgres: who may connect, how it is sized, what is refused.
{
  host,
  refused,
  stack,
  lib,
  pkgs,
  ...
}:
let
  at = "services.slipway.stacks.shop.database";
  with' = database: [ (stack { inherit database; }) ];
  # The host's server, beside the stack.
  server' = database: { services.slipway.database = database; };
  config = host [
    (stack { })
    (server' { memoryMiB = 4096; })
  ];
  server = config.services.postgresql;
  says =
    name: words: database:
    saysOn name words [ (server' listening) ] database;
  saysOn = name: words: modules: database: {
    inherit name;
    got =
      let
        messages = refused (with' database ++ modules);
      in
      if lib.any (message: lib.all (word: lib.hasInfix word message) words) messages then
        "refused"
      else
        messages;
    want = "refused";
  };
  network = {
    passwordFile = "/run/secrets/shop-database";
    network = {
      enable = true;
      addresses = [ "10.0.0.0/24" ];
    };
  };
  listening.network = {
    listen = [ "10.0.0.5" ];
    certificateFile = "/run/secrets/db.pem";
    keyFile = "/run/secrets/db.key";
  };
  networked = host (
    with' network
    ++ [
      (server' listening)
      { services.slipway.network.privateInterface = "ens10"; }
    ]
  );
  hba = config: lib.splitString "\n" (lib.trim config.services.postgresql.authentication);
  owned = host (with' {
    authentication = "scram";
    passwordFile = "/run/secrets/shop";
    owner = {
      role = "shop-owner";
      passwordFile = "/run/secrets/shop-owner";
    };
  });
  away = host (with' {
    urlFile = "/run/secrets/url";
  });
  sized = import ../../modules/stack/database/sizing.nix { inherit lib; };
in
[
  {
    name = "nothing but the Unix socket, and to a stack's database nobody but those who are named";
    got = {
      inherit (server.settings) listen_addresses;
      hba = lib.take 10 (hba config);
    };
    want = {
      listen_addresses = "";
      hba = [
        "# Generated file; do not edit!"
        "local all postgres peer map=postgres"
        ''local "shop" "shop" peer''
        ''local all "slipway-backup" peer''
        ''local "shop" all reject''
        ''host "shop" all all reject''
        ''local all "shop" reject''
        ''host all "shop" all reject''
        ''local all "shop_2" reject''
        ''host all "shop_2" all reject''
      ];
    };
  }
  {
    name = "a host's own databases keep their lines and their addresses";
    got =
      let
        its = host [
          (stack { })
          {
            services.postgresql = {
              enableTCPIP = true;
              authentication = "host wiki wiki 10.2.0.0/24 scram-sha-256";
            };
          }
        ];
        lines = hba its;
        at = line: lib.lists.findFirstIndex (one: one == line) null lines;
      in
      {
        inherit (its.services.postgresql.settings) listen_addresses;
        behind = at "host wiki wiki 10.2.0.0/24 scram-sha-256" > at ''host "shop" all all reject'';
        nixos = lib.any (lib.hasPrefix "local all all ") lines;
      };
    want = {
      listen_addresses = "*";
      behind = true;
      nixos = true;
    };
  }
  {
    name = "over the network only encrypted, with a password, from the addresses that are named";
    got = {
      inherit (networked.services.postgresql.settings) listen_addresses ssl ssl_key_file;
      lines = lib.filter (lib.hasPrefix "hostssl") (hba networked);
      credentials = networked.systemd.services.slipway-database-certificate.serviceConfig.LoadCredential;
      watched = networked.systemd.paths.slipway-database-certificate.pathConfig.PathChanged;
    };
    want = {
      listen_addresses = "10.0.0.5";
      ssl = true;
      ssl_key_file = "/run/slipway-database-certificate/key.pem";
      lines = [
        ''hostssl "shop" "shop" 10.0.0.0/24 scram-sha-256''
        ''hostssl "shop" "shop_2" 10.0.0.0/24 scram-sha-256''
      ];
      credentials = [
        "certificate:/run/secrets/db.pem"
        "key:/run/secrets/db.key"
      ];
      watched = [
        "/run/secrets/db.pem"
        "/run/secrets/db.key"
      ];
    };
  }
  {
    name = "the network's port is open on the private interface, whatever it is";
    got =
      map
        (
          settings:
          let
            inherit
              (host (
                with' network
                ++ [
                  (server' listening)
                  {
                    services.slipway.network.privateInterface = "ens10";
                    services.postgresql = { inherit settings; };
                  }
                ]
              ))
              networking
              ;
          in
          [
            networking.firewall.interfaces.ens10.allowedTCPPorts
            networking.firewall.allowedTCPPorts
          ]
        )
        [
          { }
          { port = 5433; }
        ];
    want = [
      [
        [ 5432 ]
        [ 22 ]
      ]
      [
        [ 5433 ]
        [ 22 ]
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
    name = "migrations come as the role that owns the tables, and no process does";
    got = {
      lines = lib.filter (lib.hasInfix ''"shop-owner"'') (hba owned);
      migrate = {
        inherit (owned.systemd.services.shop-migrate.serviceConfig) User LoadCredential;
        inherit (owned.systemd.services.shop-migrate.environment) DATABASE_USER DATABASE_PROCESS_ROLE;
      };
      api = {
        inherit (owned.systemd.services.shop-api-1.serviceConfig) User;
        inherit (owned.systemd.services.shop-api-1.environment) DATABASE_USER;
        owner = lib.any (lib.hasInfix "owner") owned.systemd.services.shop-api-1.serviceConfig.LoadCredential;
      };
      account = owned.users.users.shop-owner.isSystemUser;
    };
    want = {
      lines = [
        ''local "shop" "shop-owner" scram-sha-256''
        ''local all "shop-owner" reject''
        ''host all "shop-owner" all reject''
      ];
      migrate = {
        User = "shop-owner";
        LoadCredential = [
          "DATABASE_PASSWORD:/run/secrets/shop-owner"
          "REDIS_PASSWORD:/run/slipway-cache/shop/password"
        ];
        DATABASE_USER = "shop-owner";
        DATABASE_PROCESS_ROLE = "shop";
      };
      api = {
        User = "shop";
        DATABASE_USER = "shop";
        owner = false;
      };
      account = true;
    };
  }
  {
    name = "a second login comes in wherever the first one does, and its password starts no server anew";
    got =
      let
        rotating = host (
          with' (network // { secondPasswordFile = "/run/secrets/shop-second"; }) ++ [ (server' listening) ]
        );
        unit = config: config.systemd.units."postgresql.service".unit;
      in
      {
        lines = lib.filter (lib.hasInfix "\"shop_2\" 10.") (hba rotating);
        same = unit rotating == unit networked;
      };
    want = {
      lines = [ ''hostssl "shop" "shop_2" 10.0.0.0/24 scram-sha-256'' ];
      same = true;
    };
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
    name = "a changed password is the role's before the replicas have it, and no statement that is counted";
    got =
      let
        inherit
          ((host (with' {
            authentication = "scram";
            passwordFile = "/run/secrets/shop-database";
          })).systemd
          )
          services
          ;
        parts = lib.splitString "ALTER ROLE :\"role\" PASSWORD" services.shop-database.script;
      in
      {
        rolls = lib.elem "/run/secrets/shop-database" (
          lib.splitString " " services.shop-roll.environment.ROLL_SECRETS
        );
        statements = lib.length parts;
        counted = !lib.hasInfix "SET pg_stat_statements.track = 'none'" (lib.head parts);
        empty = lib.hasInfix "database.passwordFile: /run/secrets/shop-database is empty" (lib.head parts);
      };
    want = {
      rolls = true;
      statements = 2;
      counted = false;
      empty = true;
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
  (says "two servers" [ "${at}.enable" "database.urlFile" ] {
    enable = true;
    urlFile = "/run/secrets/url";
  })
  (says "scram without a password" [ "${at}.authentication" "${at}.passwordFile" ] {
    authentication = "scram";
  })
  (says "the network without a password" [ "${at}.network.enable" "${at}.passwordFile" ] (
    network // { passwordFile = null; }
  ))
  (saysOn "a listener on nothing"
    [ "${at}.network.enable" "services.slipway.database.network.listen" "private address" ]
    [ (server' (lib.recursiveUpdate listening { network.listen = [ ]; })) ]
    network
  )
  (says "a network that nobody may use" [ "${at}.network.addresses" ] (
    lib.recursiveUpdate network { network.addresses = [ ]; }
  ))
  (says "an address without its prefix" [ "${at}.network.addresses" "/32" ] (
    lib.recursiveUpdate network { network.addresses = [ "10.0.0.7" ]; }
  ))
  (says "the whole Internet in the clear" [ "${at}.network.addresses" "${at}.network.tls" ] (
    lib.recursiveUpdate network {
      network.tls = false;
      network.addresses = [ "0.0.0.0/0" ];
    }
  ))
  (saysOn "TLS without a certificate"
    [ "${at}.network.tls" "services.slipway.database.network.certificateFile" ]
    [ (server' (lib.recursiveUpdate listening { network.certificateFile = null; })) ]
    network
  )
  (says "the server's own database" [ "${at}.name" "postgres" ] { name = "postgres"; })
  (says "a second login without a first" [ "${at}.secondPasswordFile" "${at}.passwordFile" ] {
    secondPasswordFile = "/run/secrets/shop-second";
  })
  (says "what became the host's, by its old name" [
    "${at}.memoryMiB"
    "set services.slipway.database.memoryMiB"
  ] { memoryMiB = 4096; })
]
++
  map
    (user: {
      name = "${user} as a stack's user";
      got = lib.any (lib.hasInfix "services.slipway.stacks.shop.user") (refused [
        (stack { inherit user; })
      ]);
      want = true;
    })
    [
      "postgres"
      "slipway-backup"
      "pg_monitor"
      "Shop"
    ]
