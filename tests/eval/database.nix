# The stack's Postgres: who may connect, how it is sized, what is refused.
{
  host,
  refused,
  stack,
  standIn,
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
  # Another stack beside, with these options of its database.
  reports = database: {
    services.slipway.stacks.reports = {
      inherit database;
      services.web = {
        package = standIn "reports";
        user = "reports-web";
      };
    };
  };
  reading = host (with' { readers = [ "grafana" ]; } ++ [ (reports { of = "shop"; }) ]);
  shop = config: config.services.slipway.stacks.shop;
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
    name = "a stack uses another one's database with a role of its own, and reaches no other";
    got =
      let
        its = reading.services.slipway.stacks.reports;
      in
      {
        lines = lib.filter (line: lib.hasInfix "reports" line || lib.hasInfix "grafana" line) (hba reading);
        map = lib.filter (lib.hasInfix "reports") (
          lib.splitString "\n" reading.services.postgresql.identMap
        );
        environment = lib.filterAttrs (name: _: lib.hasPrefix "DATABASE_" name) its.environment;
        backup = its.backup.enable;
        waits = lib.elem "reports-database.service" its.requires;
        inherit (reading.systemd.services.reports-database) before;
        comes = lib.elem "shop.target" reading.systemd.services.reports-database.wantedBy;
      };
    want = {
      lines = [
        ''local "shop" "grafana" peer''
        ''local "shop" "reports" peer map=slipway-reports-reports''
        ''local all "reports" reject''
        ''host all "reports" all reject''
      ];
      map = [
        ''slipway-reports-reports "reports" "reports"''
        ''slipway-reports-reports "reports-web" "reports"''
      ];
      environment = {
        DATABASE_HOST = "/run/postgresql";
        DATABASE_NAME = "shop";
        DATABASE_USER = "reports";
      };
      backup = false;
      waits = true;
      before = [ "shop-migrate.service" ];
      comes = true;
    };
  }
  {
    name = "rights are those that are asked for, and none without asking";
    got =
      let
        script =
          database: (host (with' { } ++ [ (reports database) ])).systemd.services.reports-database.script;
        has =
          rights: lib.hasInfix "--set=rights=${rights} --set=name=shop --set=owner=shop --set=member=reports";
      in
      [
        (has "read" (script {
          of = "shop";
        }))
        (has "write" (script {
          of = "shop";
          rights = "write";
        }))
        (has "granted" (script {
          of = "shop";
          rights = "granted";
        }))
        (lib.hasInfix "--set=member=grafana" reading.systemd.services.shop-database.script)
        (lib.hasInfix "--set=member" config.systemd.services.shop-database.script)
      ];
    want = [
      true
      true
      true
      true
      false
    ];
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
    name = "a name that is changed is nowhere else by its default";
    got =
      let
        its = host (with' {
          name = "goods";
          readers = [ "grafana" ];
        });
        left = text: lib.hasInfix ''"shop" "'' text || lib.hasInfix "name=shop" text;
      in
      {
        hba = left (builtins.concatStringsSep "\n" (hba its));
        setup = left its.systemd.services.shop-database.script;
        backup =
          (builtins.fromJSON (
            builtins.unsafeDiscardStringContext its.environment.etc."slipway/backup/shop.json".text
          )).database.name;
        environment = (shop its).environment.DATABASE_NAME;
      };
    want = {
      hba = false;
      setup = false;
      backup = "goods";
      environment = "goods";
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
        statements = lib.length parts;
        counted = !lib.hasInfix "SET pg_stat_statements.track = 'none'" (lib.head parts);
        empty = lib.hasInfix "database.passwordFile: /run/secrets/shop-database is empty" (lib.head parts);
      };
    want = {
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
  (says "another version than the server's" [ "${at}.package" "services.slipway.database.package" ] {
    package = standIn "postgresql";
  })
  (says "an owner with other rights" [ "${at}.owner.role" "shop-owner" ] { owner.role = "postgres"; })
  (says "an owner without a password for scram" [ "${at}.owner.passwordFile" "peer" ] {
    authentication = "scram";
    passwordFile = "/run/secrets/shop";
    owner.role = "shop-owner";
  })
  (says "the network of a server elsewhere" [ "${at}.network.enable" "${at}.enable" ] {
    urlFile = "/run/secrets/url";
    network.enable = true;
  })
  (says "a server elsewhere without its password" [ "database.host" "database.passwordFile" ] {
    host = "db.example.net";
  })
  (says "an owner elsewhere without its password" [ "database.owner.role" "owner.passwordFile" ] {
    host = "db.example.net";
    passwordFile = "/run/secrets/shop";
    owner.role = "shop-owner";
  })
  (says "two servers elsewhere" [ "database.host" "database.urlFile" ] {
    host = "db.example.net";
    passwordFile = "/run/secrets/shop";
    urlFile = "/run/secrets/url";
  })
  (says "an authority for the server here" [ "database.caFile" "elsewhere" ] {
    caFile = "/etc/ca.pem";
  })
  (says "the owner's address without the stack's" [ "database.owner.urlFile" "database.urlFile" ] {
    owner.urlFile = "/run/secrets/owner-url";
  })
  (says "another role than the account's" [ "${at}.user" "stacks.shop.user" ] { user = "app"; })
  (says "another port than the server's" [ "${at}.port" "services.postgresql.settings.port" ] {
    port = 5433;
  })
  (says "rights in one's own database" [ "${at}.rights" "${at}.of" ] { rights = "write"; })
  (says "readers of a database elsewhere" [ "${at}.readers" "${at}.enable" ] {
    urlFile = "/run/secrets/url";
    readers = [ "grafana" ];
  })
  (says "a stack's role as a reader" [ "${at}.readers" "database.of" ] { readers = [ "shop_2" ]; })
  (says "the database of a stack that is not there" [ "${at}.of" "elsewhere-shop" ] {
    of = "elsewhere-shop";
  })
  (saysOn "another one's database and one's own"
    [ "stacks.reports.database.of" "enable, host or urlFile" ]
    [
      (reports {
        of = "shop";
        enable = true;
      })
    ]
    { }
  )
  (saysOn "another name for another one's database"
    [ "stacks.reports.database.name" "leave it out" ]
    [
      (reports {
        of = "shop";
        name = "goods";
      })
    ]
    { }
  )
  (saysOn "a password for another one's database"
    [ "stacks.reports.database.of" "by the account" ]
    [
      (reports {
        of = "shop";
        authentication = "scram";
        passwordFile = "/run/secrets/reports";
      })
    ]
    { }
  )
  (saysOn "one database for two stacks"
    [ "database.name is shop" "database.of" ]
    [
      (reports { name = "shop"; })
    ]
    { }
  )
  (saysOn "an owner that is another stack's role"
    [ "stacks.reports.database.owner.role" "stacks.shop.user" ]
    [
      (reports { owner.role = "shop"; })
    ]
    { }
  )
  (saysOn "pools that do not fit"
    [ "services.slipway.database.maxConnections" "100" "232" ]
    [
      (server' { maxConnections = 100; })
    ]
    { }
  )
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
