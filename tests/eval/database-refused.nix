# What is refused of a stack's Postgres: servers, roles, rights, networks and names that do not fit together.
{
  host,
  refused,
  saysAmong,
  stack,
  standIn,
  lib,
  ...
}:
let
  inherit (import ./database-tools.nix { inherit host stack standIn; })
    with'
    server'
    network
    listening
    reports
    ;
  at = "services.slipway.stacks.shop.database";
  says =
    name: words: database:
    saysOn name words [ (server' listening) ] database;
  saysOn =
    name: words: modules: database:
    saysAmong name words (with' database ++ modules);
in
[
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
      (reports {
        enable = true;
        name = "shop";
      })
    ]
    { }
  )
  (saysOn "an owner that is another stack's role"
    [ "stacks.reports.database.owner.role" "stacks.shop.user" ]
    [
      (reports {
        enable = true;
        owner.role = "shop";
      })
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
