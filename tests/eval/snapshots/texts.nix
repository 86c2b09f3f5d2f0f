# What is compared with the files of this folder, by name. A file of the store is @NAME@, whatever its hash and version.
{
  host,
  stack,
  standIn,
  lib,
}:
let
  normalise =
    text:
    lib.concatMapStrings (
      part: if lib.isList part then "@${(builtins.parseDrvName (lib.head part)).name}@" else part
    ) (builtins.split "${builtins.storeDir}/[0-9a-z]{32}-([A-Za-z0-9._+-]+)" text);

  locations = lib.mapAttrsToList (
    name: location:
    "location ${name} {\n${
      lib.optionalString (location.return != null) "return ${toString location.return};\n"
    }${location.extraConfig}\n}"
  );
  # The server with what the module says of it; the rest of nginx.conf is NixOS' own.
  server =
    config: name:
    let
      vhost = config.services.nginx.virtualHosts.${name};
      listeners =
        map (one: "listen ${one.addr}:${toString one.port};") vhost.listen
        ++ map (
          address: "listen ${address}:443 ssl${lib.optionalString vhost.default " default_server"};"
        ) vhost.listenAddresses;
      certificate =
        if vhost.enableACME then
          [
            "ssl_certificate /var/lib/acme/${name}/fullchain.pem;"
            "ssl_certificate_key /var/lib/acme/${name}/key.pem;"
          ]
        else if vhost.rejectSSL then
          [ "ssl_reject_handshake on;" ]
        else
          lib.optionals (vhost.listen == [ ]) [
            "ssl_certificate ${vhost.sslCertificate};"
            "ssl_certificate_key ${vhost.sslCertificateKey};"
          ];
    in
    lib.concatStringsSep "\n" (
      [
        "server {"
        "server_name ${toString ([ vhost.serverName ] ++ vhost.serverAliases)};"
      ]
      ++ listeners
      ++ certificate
      ++ locations vhost.locations
      ++ [
        vhost.extraConfig
        "}"
      ]
    );
  nginx =
    config: names:
    normalise (
      lib.concatStringsSep "\n" ([ config.services.nginx.commonHttpConfig ] ++ map (server config) names)
    )
    + "\n";
  redis =
    config:
    lib.concatLines (
      lib.mapAttrsToList (
        name: value:
        lib.concatMapStringsSep "\n" (
          one: "${name} ${if builtins.isBool one then (if one then "yes" else "no") else toString one}"
        ) (lib.toList value)
      ) (removeAttrs config.services.redis.servers.shop.settings [ "dir" ])
    );

  # As the module sets it, without NixOS' own lines.
  postgres =
    config:
    lib.concatLines (
      lib.mapAttrsToList
        (
          name: value:
          "${name} = ${
            if lib.isBool value then
              lib.boolToString value
            else if lib.isInt value || lib.isFloat value then
              toString value
            else
              "'${lib.concatStringsSep "," (map normalise (lib.toList value))}'"
          }"
        )
        (
          removeAttrs (lib.filterAttrs (_: value: value != null) config.services.postgresql.settings) [
            "hba_file"
            "ident_file"
            "log_destination"
            "port"
          ]
        )
    );
  database = host [
    (stack {
      database = {
        passwordFile = "/run/secrets/shop-database";
        network = {
          enable = true;
          addresses = [ "10.1.0.0/24" ];
        };
      };
    })
    {
      services.slipway.database = {
        memoryMiB = 4096;
        network = {
          listen = [ "10.1.0.20" ];
          certificateFile = "/run/secrets/db.pem";
          keyFile = "/run/secrets/db.key";
        };
      };
    }
  ];

  plain = host [ (stack { proxy.domain = "shop.example.com"; }) ];
  fleet = host [
    (stack {
      services.api.replicas = 0;
      proxy = {
        domain = "shop.example.com";
        http3 = true;
        upstream = {
          servers = [
            "10.1.0.11:443"
            "10.1.0.12:443"
          ];
          tls = {
            name = "app.internal";
            authority = "/etc/fleet/authority.pem";
            certificate = "/etc/fleet/edge.pem";
            key = "/run/secrets/edge-key";
          };
        };
      };
    })
  ];
  behind = host [
    (stack {
      proxy = {
        domain = "shop.example.com";
        aliases = [ "app.internal" ];
        listenAddresses = [ "10.1.0.11" ];
        http3 = false;
        trustedProxies = [ "10.1.0.10" ];
        tls = {
          certificate = "/etc/fleet/app-1.pem";
          key = "/run/secrets/app-1-key";
          clientAuthority = "/etc/fleet/authority.pem";
        };
      };
    })
  ];
  # Services without a preset, files, redirects and closed paths.
  routed = host [
    {
      services.slipway.stacks.shop = {
        services = lib.genAttrs [ "web" "admin" ] (name: {
          package = standIn "shop";
          listen.port = if name == "web" then 3000 else 3100;
        });
        proxy.tls = {
          certificate = "/etc/fleet/app-1.pem";
          key = "/run/secrets/app-1-key";
        };
        domains = {
          "shop.example.com".routes = {
            "/".service = "web";
            "/live" = {
              service = "web";
              stream = true;
            };
            "/shop" = {
              service = "web";
              stripPrefix = true;
            };
            "/docs".static = ../site;
            "/app" = {
              static = ../site;
              fallback = "/index.html";
              immutablePaths = [ "/assets" ];
            };
            "/old".redirect = "https://new.example.com/shop/";
            "/moved" = {
              redirect = "/docs/";
              redirectStatus = 302;
            };
            "/api".closed = true;
            "/api/open".service = "web";
          };
          "admin.example.com".routes."/".service = "admin";
          "site.example.com".routes."/".static = ../site;
          "www.example.com".routes."/".redirect = "https://shop.example.com/";
        };
      };
    }
  ];
  networked = host [
    (stack {
      cache.passwordFile = "/run/secrets/redis";
      cache.network = {
        listenAddress = "10.1.0.20";
        certificate = "/etc/fleet/db.pem";
        key = "/run/secrets/db-key";
        authority = "/etc/fleet/authority.pem";
      };
    })
  ];
  # One that a monitoring host watches.
  watched = host [
    (stack { proxy.domain = "shop.example.com"; })
    {
      services.slipway.telemetry.door = {
        address = "10.1.0.11";
        clients = [
          "10.1.0.30"
          "fd00::30"
        ];
        certificate = "/etc/fleet/app-1.pem";
        key = "/run/secrets/app-1-key";
        authority = "/etc/fleet/authority.pem";
        clientNames = [ "monitor.internal" ];
      };
    }
  ];
  # One that keeps the logs of two others.
  keeps = host [
    {
      networking.hostName = "monitor";
      services.slipway.monitoring = {
        enable = true;
        receivers.ops.webhook.url = "http://127.0.0.1:8080/ops";
        severities = lib.genAttrs [ "page" "ticket" ] (_: [ "ops" ]);
        logs = {
          opensearch.enable = true;
          door = {
            address = "10.1.0.30";
            clients = [
              "10.1.0.11"
              "fd00::11"
            ];
            certificate = "/etc/fleet/monitor.pem";
            key = "/run/secrets/monitor-key";
            authority = "/etc/fleet/authority.pem";
            passwordsFile = "/run/secrets/logs-passwords";
            senders = {
              app-1 = "app-1.internal";
              app-2 = "app-2.internal";
            };
          };
        };
      };
    }
  ];
in
{
  "nginx-logs-door.conf" = normalise keeps.services.slipway.monitoring.logs.door.configuration;
  "nginx-door.conf" = normalise watched.services.slipway.telemetry.door.configuration;
  "nginx.conf" = nginx plain [
    "shop.example.com"
    "slipway-ping-shop"
    "slipway-unknown"
  ];
  "nginx-edge.conf" = nginx fleet [ "shop.example.com" ];
  "nginx-app.conf" = nginx behind [
    "shop.example.com"
    "slipway-unknown"
  ];
  "nginx-routes.conf" = nginx routed [
    "shop.example.com"
    "admin.example.com"
    "site.example.com"
    "www.example.com"
    "slipway-unknown"
  ];
  "postgresql.conf" = postgres plain;
  "postgresql-network.conf" = postgres database;
  "pg_hba.conf" = plain.services.postgresql.authentication;
  "pg_hba-network.conf" = database.services.postgresql.authentication;
  "pg_hba-telemetry.conf" = watched.services.postgresql.authentication;
  "pgbackrest.conf" = plain.environment.etc."pgbackrest/pgbackrest.conf".text;
  "redis.conf" = redis plain;
  "redis-network.conf" = redis networked;
  "redis-telemetry.conf" = redis watched;
}
// lib.mapAttrs' (name: lib.nameValuePair "units/${name}") (
  import ./units.nix {
    inherit
      host
      stack
      lib
      normalise
      ;
  }
)
