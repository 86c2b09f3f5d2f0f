# Who may connect to the stack's Postgres, from where and as which role, and what that role may do.
{
  host,
  stack,
  standIn,
  lib,
  ...
}:
let
  inherit (import ./database-tools.nix { inherit host stack standIn; })
    with'
    server'
    config
    network
    listening
    reports
    ;
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
  reading = host (with' { readers = [ "grafana" ]; } ++ [ (reports { of = "shop"; }) ]);
in
[
  {
    name = "nothing but the Unix socket, and to a stack's database nobody but those who are named";
    got = {
      inherit (config.services.postgresql.settings) listen_addresses;
      hba = lib.take 11 (hba config);
      restorers = lib.filter (lib.hasPrefix "slipway-restore") (
        lib.splitString "\n" config.services.postgresql.identMap
      );
    };
    want = {
      listen_addresses = "";
      hba = [
        "# Generated file; do not edit!"
        "local all postgres peer map=postgres"
        ''local "shop" "shop" peer''
        ''local all "slipway-backup" peer''
        ''local all "slipway-restore" peer map=slipway-restore''
        ''local "shop" all reject''
        ''host "shop" all all reject''
        ''local all "shop" reject''
        ''host all "shop" all reject''
        ''local all "shop_2" reject''
        ''host all "shop_2" all reject''
      ];
      # A password that the code of a dump gives the role opens nothing.
      restorers = [
        ''slipway-restore postgres "slipway-restore"''
        ''slipway-restore root "slipway-restore"''
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
        environment = its.services.slipway.stacks.shop.environment.DATABASE_NAME;
      };
    want = {
      hba = false;
      setup = false;
      backup = "goods";
      environment = "goods";
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
]
