# A member of a cluster of Postgres servers, and a host that uses one: see docs/high-availability.md.
{
  host,
  lib,
  standIn,
  ...
}:
let
  tools = import ./cluster-tools.nix { inherit host lib; };
  inherit (tools) members;
  one = tools.config "ha-1" { };
  units = one.systemd.services;
  patroni = one.environment.etc."slipway/patroni.yaml".text;
  lines = lib.splitString "\n" patroni;
  has = part: lib.any (lib.hasInfix part) lines;
  client = host [
    {
      networking.hostName = "app-1";
      services.slipway.cluster = {
        enable = true;
        role = "client";
        inherit members;
        inherit (tools.cluster) authority;
      };
      services.slipway.stacks.shop = {
        services.web.package = standIn "web";
        database = {
          cluster = true;
          inherit (tools.database) passwordFile;
        };
      };
    }
  ];
  programs = host (
    tools.modules "ha-2" { }
    ++ [ { services.slipway.stacks.shop.services.web.package = standIn "web"; } ]
  );
  variables =
    config:
    lib.filterAttrs (
      name: _: lib.hasPrefix "DATABASE_" name
    ) config.services.slipway.stacks.shop.environment;
  verified = {
    DATABASE_HOST = "main.cluster.internal";
    DATABASE_NAME = "shop";
    DATABASE_PORT = "15432";
    DATABASE_SSL_MODE = "verify-full";
    DATABASE_USER = "shop";
  };
in
[
  {
    name = "cluster: Patroni runs Postgres, and nixpkgs' own server is off";
    got = [
      one.services.postgresql.enable
      (units ? postgresql)
      (units ? slipway-patroni)
      (units ? slipway-etcd)
    ];
    want = [
      false
      false
      true
      true
    ];
  }
  {
    name = "cluster: a host without one has nothing of it";
    got = lib.filter (lib.hasPrefix "slipway-cluster") (
      lib.attrNames (host [ tools.shop ]).systemd.services
    );
    want = [ ];
  }
  {
    name = "cluster: the stack's logins come from every host of it, with TLS and a password";
    got = map (address: has "hostssl \\\"shop\\\" \\\"shop\\\" ${address}/32 scram-sha-256") (
      map (name: members.${name}.address) (lib.attrNames members)
    );
    want = [
      true
      true
      true
    ];
  }
  {
    name = "cluster: nobody else reaches the stack's database";
    got = has "host \\\"shop\\\" all all reject";
    want = true;
  }
  {
    name = "cluster: settings of services.slipway.database";
    got =
      let
        config = host (
          tools.modules "ha-1" { }
          ++ [ { services.slipway.database.settings.log_min_duration_statement = 500; } ]
        );
      in
      lib.any (lib.hasInfix "log_min_duration_statement: 500") (
        lib.splitString "\n" config.environment.etc."slipway/patroni.yaml".text
      );
    want = true;
  }
  {
    name = "cluster: no file of the store has a password";
    got = has "password:";
    want = false;
  }
  {
    name = "cluster: programs on a member";
    got = removeAttrs (variables programs) [ "DATABASE_SSL_ROOT_CERT" ];
    want = verified;
  }
  {
    name = "cluster: programs on a client";
    got = removeAttrs (variables client) [ "DATABASE_SSL_ROOT_CERT" ];
    want = verified;
  }
  {
    name = "cluster: a client has the two ports and no server";
    got = map (unit: client.systemd.services ? ${unit}) [
      "slipway-cluster-proxy"
      "slipway-patroni"
      "slipway-etcd"
      "postgresql"
    ];
    want = [
      true
      false
      false
      false
    ];
  }
  {
    name = "cluster: the name leads to this host's own ports";
    got = lib.elem "main.cluster.internal" client.networking.hosts."127.0.0.1";
    want = true;
  }
  {
    name = "cluster: a setting restarts no server, a package does";
    got = {
      reloads = units.slipway-patroni.reloadTriggers != [ ];
      inStart = lib.any (lib.hasInfix "patroni.yaml") (
        map toString units.slipway-patroni.restartTriggers
      );
    };
    want = {
      reloads = true;
      inStart = false;
    };
  }
  {
    name = "cluster: the firewall lets members in, by address and on the private interface";
    got = lib.sort lib.lessThan (
      lib.filter (lib.hasInfix "2380") (lib.splitString "\n" one.networking.firewall.extraInputRules)
    );
    want = map (
      name:
      ''iifname "ens10" ip saddr ${members.${name}.address} tcp dport { 5432, 8008, 2379, 2380 } accept''
    ) (lib.attrNames members);
  }
  {
    name = "cluster: no port of it is open to everybody";
    got =
      lib.intersectLists
        [
          5432
          8008
          2379
          2380
        ]
        (
          one.networking.firewall.allowedTCPPorts ++ one.networking.firewall.interfaces.ens10.allowedTCPPorts
        );
    want = [ ];
  }
  {
    name = "cluster: the build checks a certificate of the flake, and no other";
    got =
      map
        (
          certificate:
          lib.length (
            lib.filter (lib.hasPrefix "slipway-cluster-certificate") (
              map (check: check.name) (tools.config "ha-1" { inherit certificate; }).system.checks
            )
          )
        )
        [
          ../../hosts/ha/certificates/ha-1.pem
          "/run/certificates/member.pem"
        ];
    want = [
      1
      0
    ];
  }
  {
    name = "cluster: a wait for the leader has an end";
    got = units.shop-database.serviceConfig.TimeoutStartSec != "infinity";
    want = true;
  }
  {
    name = "cluster: what members share is set by whichever leads";
    got = lib.filter (lib.hasSuffix "-leader.service") units.slipway-cluster-setup.wants;
    want = [ "shop-database-leader.service" ];
  }
  {
    name = "cluster: a member watches its disk as Patroni's account, and keeps Patroni's folder";
    got =
      let
        unit = units.slipway-disk-guard.serviceConfig;
      in
      {
        inherit (unit) User RuntimeDirectory RuntimeDirectoryPreserve;
        # The password is systemd's copy.
        credentials = lib.length unit.LoadCredential;
      };
    want = {
      User = "postgres";
      RuntimeDirectory = "slipway-patroni";
      RuntimeDirectoryPreserve = true;
      credentials = 1;
    };
  }
  {
    name = "cluster: nobody watches the disk where 0 is asked for, or of a host that is no member";
    got = map (config: config.systemd.services ? slipway-disk-guard) [
      (tools.config "ha-1" { disk.lowMiB = 0; })
      client
    ];
    want = [
      false
      false
    ];
  }
]
