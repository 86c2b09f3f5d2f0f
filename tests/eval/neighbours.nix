# A host that has more than stacks. Its own databases, Redis, Grafana, networks and rules stay what they are. What cannot be
# beside each other is refused with both options.
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
  own = {
    services.postgresql = {
      ensureDatabases = [ "wiki" ];
      ensureUsers = [
        {
          name = "wiki";
          ensureDBOwnership = true;
        }
      ];
      authentication = "host wiki wiki 10.2.0.0/24 scram-sha-256";
      identMap = "crew alice wiki";
      settings.random_page_cost = 2.5;
    };
    services.redis.servers.wiki = {
      enable = true;
      port = 6390;
    };
    services.grafana = {
      enable = true;
      settings.security.secret_key = "$__file{/run/secrets/grafana}";
    };
    virtualisation.docker.enable = true;
    networking = {
      nftables.enable = true;
      nftables.tables.crew = {
        family = "inet";
        content = "chain input { type filter hook input priority 10; }";
      };
      wireguard.interfaces.wg0 = {
        ips = [ "10.9.0.1/24" ];
        privateKeyFile = "/run/secrets/wg0";
      };
      firewall.interfaces.wg0.allowedTCPPorts = [ 5432 ];
    };
    services.tailscale.enable = true;
    services.slipway.network.otherPrivateInterfaces = [ "wg0" ];
  };
  reports.services.slipway.stacks.reports = {
    services.web.package = standIn "reports";
    database.of = "shop";
    cache.enable = true;
  };
  third.services.slipway.stacks.app = {
    services.web = {
      package = standIn "app";
      listen.port = 4000;
    };
    proxy.enable = false;
  };
  archive.services.slipway.backup.archive.stack = "shop";
  alone = host [
    (stack { })
    reports
    archive
  ];
  config = host [
    (stack { })
    reports
    archive
    own
  ];
  beside = host [
    (stack { })
    reports
    archive
    third
  ];
  says =
    name: words: modules:
    saysAmong name words ([ (stack { }) ] ++ modules);
  postgres = config.services.postgresql;

  # Every unit and file of the system as text, without the names of files of the store that hold all stacks' lines.
  rendered =
    config:
    let
      # A server that is reloaded goes on.
      plain =
        text:
        lib.concatStringsSep "\n" (
          lib.filter (line: !lib.hasPrefix "X-Reload" line) (
            lib.splitString "\n" (builtins.unsafeDiscardStringContext (toString text))
          )
        );
    in
    lib.mapAttrs (_: unit: plain unit.text) config.systemd.units
    // lib.mapAttrs' (name: file: lib.nameValuePair "/etc/${name}" (plain file.text)) (
      lib.filterAttrs (_: file: file.text != null) config.environment.etc
    );
  # What is of all stacks: who may connect, the exporter of the backups, and how long a switch may take.
  common = [
    "slipway-backup-exporter.service"
    "/etc/slipway/activation.json"
    "/etc/slipway/pg_hba.conf"
    "/etc/slipway/pg_ident.conf"
  ];
in
[
  {
    name = "all of it is there, and nothing is refused";
    got = {
      refused = refused [
        (stack { })
        reports
        archive
        own
      ];
      databases = postgres.ensureDatabases;
      cost = postgres.settings.random_page_cost;
      inherit (postgres.settings) listen_addresses;
      lines = map (line: lib.hasInfix line postgres.authentication) [
        "host wiki wiki 10.2.0.0/24 scram-sha-256"
        ''local "shop" "reports" peer''
      ];
      identities = lib.hasInfix "crew alice wiki" postgres.identMap;
      redis = lib.attrNames config.services.redis.servers;
      tables = lib.elem "crew" (lib.attrNames config.networking.nftables.tables);
    };
    want = {
      refused = [ ];
      databases = [ "wiki" ];
      cost = 2.5;
      # Programs of the host's own databases may come over the loopback interface.
      listen_addresses = "localhost";
      lines = [
        true
        true
      ];
      identities = true;
      redis = [
        "reports"
        "shop"
        "wiki"
      ];
      tables = true;
    };
  }
  {
    name = "another stack changes no unit and no file of those that are there, nor the server's";
    got =
      let
        before = rendered alone;
        after = rendered beside;
        changed = lib.filter (name: before.${name} != after.${name} or null) (lib.attrNames before);
      in
      {
        changed = lib.filter (
          name:
          lib.any (ours: lib.hasInfix ours name) [
            "shop"
            "reports"
            "postgresql"
            "slipway"
          ]
          && !lib.elem name common
        ) changed;
        looked = lib.length (lib.attrNames before) > 100;
      };
    want = {
      changed = [ ];
      looked = true;
    };
  }
  (says "a port of Grafana's that a service has as well"
    [
      "services.grafana.settings.server.http_port (3000)"
      "services.slipway.stacks.shop.services.web.listen.port"
    ]
    [
      own
      {
        services.slipway.stacks.shop.services.web = {
          package = standIn "web";
          listen.port = 3000;
        };
      }
    ]
  )
  (says "a port of a Redis that a service has as well"
    [
      "services.redis.servers.wiki.port (6390)"
      "services.slipway.stacks.shop.services.web.listen.port"
    ]
    [
      own
      {
        services.slipway.stacks.shop.services.web = {
          package = standIn "web";
          listen.port = 6390;
        };
      }
    ]
  )
  (says "a Redis of the host's with a stack's name"
    [
      "services.redis.servers.shop"
      "services.slipway.stacks.shop.cache.enable"
    ]
    [ { services.redis.servers.shop.enable = true; } ]
  )
  {
    name = "settings of a stack's Redis are no other server";
    got = refused [
      (stack { })
      { services.redis.servers.shop.settings.hz = 20; }
    ];
    want = [ ];
  }
  (says "a role of the host's with a stack's name"
    [
      "services.postgresql.ensureUsers"
      "services.slipway.stacks"
      "shop"
    ]
    [ { services.postgresql.ensureUsers = [ { name = "shop"; } ]; } ]
  )
  (says "a database of the host's with a stack's name"
    [
      "services.postgresql.ensureDatabases"
      "services.slipway.stacks.*.database.name"
      "shop"
    ]
    [ { services.postgresql.ensureDatabases = [ "shop" ]; } ]
  )
  (says "lines of who may connect that replace those of the stacks"
    [
      "services.postgresql.authentication"
      "mkForce"
    ]
    [ { services.postgresql.authentication = lib.mkForce "local all all peer"; } ]
  )
]
