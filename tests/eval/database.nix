# The stack's Postgres: who may connect, how it is sized, what is refused.
{
  host,
  refused,
  stack,
  lib,
  ...
}:
let
  at = "services.slipway.stacks.shop.database";
  with' = database: [ (stack { inherit database; }) ];
  config = host (with' {
    memoryMiB = 4096;
  });
  server = config.services.postgresql;
  says = name: words: database: {
    inherit name;
    got =
      let
        messages = refused (with' database);
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
      listen = [ "10.0.0.5" ];
      addresses = [ "10.0.0.0/24" ];
      certificateFile = "/run/secrets/db.pem";
      keyFile = "/run/secrets/db.key";
    };
  };
  networked = host (with' network);
  away = host (with' {
    urlFile = "/run/secrets/url";
  });
  sized = import ../../modules/stack/database/sizing.nix { inherit lib; };
in
[
  {
    name = "nothing but the Unix socket, and nobody but those who are named";
    got = {
      inherit (server.settings) listen_addresses;
      hba = lib.splitString "\n" (lib.trim server.authentication);
    };
    want = {
      listen_addresses = "";
      hba = [
        "local all postgres peer map=postgres"
        ''local "shop" "shop" peer''
        ''local all "slipway-backup" peer''
      ];
    };
  }
  {
    name = "over the network only encrypted, with a password, from the addresses that are named";
    got = {
      inherit (networked.services.postgresql.settings) listen_addresses ssl ssl_key_file;
      line = lib.last (lib.splitString "\n" (lib.trim networked.services.postgresql.authentication));
      credentials = networked.systemd.services.postgresql.serviceConfig.LoadCredential;
    };
    want = {
      listen_addresses = "10.0.0.5";
      ssl = true;
      ssl_key_file = "/run/credentials/postgresql.service/key";
      line = ''hostssl "shop" "shop" 10.0.0.0/24 scram-sha-256'';
      credentials = [
        "certificate:/run/secrets/db.pem"
        "key:/run/secrets/db.key"
      ];
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
      derived = (host (with' { })).systemd.services ? slipway-database-memory;
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
    name = "a stack's own settings win";
    got =
      (host (with' {
        settings.random_page_cost = 2.5;
      })).services.postgresql.settings.random_page_cost;
    want = 2.5;
  }
  (says "two servers" [ "${at}.enable" "${at}.urlFile" ] {
    enable = true;
    urlFile = "/run/secrets/url";
  })
  (says "scram without a password" [ "${at}.authentication" "${at}.passwordFile" ] {
    authentication = "scram";
  })
  (says "the network without a password" [ "${at}.network.enable" "${at}.passwordFile" ] (
    network // { passwordFile = null; }
  ))
  (says "a listener on nothing" [ "${at}.network.listen" "private address" ] (
    lib.recursiveUpdate network { network.listen = [ ]; }
  ))
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
  (says "TLS without a certificate" [ "${at}.network.tls" "certificateFile" ] (
    lib.recursiveUpdate network { network.certificateFile = null; }
  ))
]
