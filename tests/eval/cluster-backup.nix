# Backups on the members of a cluster: one archive for all, and each unit reaches what it needs.
{
  host,
  says,
  lib,
  ...
}:
let
  tools = import ./cluster-tools.nix { inherit host lib; };
  inherit (tools) modules;
  s3 = {
    bucket = "shop-archive";
    endpoint = "s3.example.com";
  };
  bucket = {
    services.slipway.backup.archive = {
      inherit s3;
      secretsFile = "/run/secrets/pgbackrest";
    };
  };
  of = more: host (modules "ha-1" { } ++ more);
  config = of [ bucket ];
  plain = of [ ];
  json =
    config:
    builtins.fromJSON (
      builtins.unsafeDiscardStringContext config.environment.etc."slipway/backup/shop.json".text
    );
  unit = config: name: config.systemd.services.${name};
  addresses = config: name: (unit config name).serviceConfig.IPAddressAllow or "any";
  members = [
    "10.1.0.21"
    "10.1.0.22"
    "10.1.0.23"
  ];
  option = "services.slipway.backup.archive";
  refuses =
    name: words: archive:
    says "cluster's backups: ${name}" words (
      modules "ha-1" { } ++ [ { services.slipway.backup = { inherit archive; }; } ]
    );
in
[
  {
    name = "cluster's backups: a folder of one host is no archive, and dumps go on";
    got = [
      plain.services.slipway.backup.archive.enable
      (json plain ? wal)
      (json plain ? dump)
      (addresses plain "shop-backup-dump")
    ];
    want = [
      false
      false
      true
      members
    ];
  }
  {
    name = "cluster's backups: a bucket is an archive, and each member says who leads";
    got = {
      inherit (config.services.slipway.backup.archive) enable;
      inherit (json config) cluster;
      inherit ((json config).database) unit port;
      config = (json config).wal.config;
      folder = (json config).wal ? repository;
    };
    want = {
      enable = true;
      cluster = {
        name = "main";
        member = "ha-1";
        patroni = lib.genAttrs [ "ha-1" "ha-2" "ha-3" ] (
          name: "https://${tools.members.${name}.address}:8008"
        );
        authority = "/run/slipway-cluster/postgres/authority.pem";
        certificate = "/run/slipway-cluster/postgres/certificate.pem";
        key = "/run/slipway-cluster/postgres/key.pem";
        operator = "patroni";
        operator_password_file.path = "/run/secrets/operator";
      };
      unit = "slipway-patroni.service";
      port = 5432;
      config = "/run/slipway-archive/pgbackrest.conf";
      folder = false;
    };
  }
  {
    name = "cluster's backups: Patroni archives, and standbys fetch what they lack";
    got =
      let
        text = config.environment.etc."slipway/patroni.yaml".text;
        has = word: lib.hasInfix word text;
      in
      map has [
        "/bin/pgbackrest --config=/run/slipway-archive/pgbackrest.conf --stanza=main archive-push %p"
        "/bin/timeout --kill-after=5 30 /nix/store/"
        "/bin/pgbackrest --config=/run/slipway-archive/pgbackrest.conf --stanza=main archive-get %f %p"
        "archive_mode: true"
      ];
    want = [
      true
      true
      true
      true
    ];
  }
  {
    name = "cluster's backups: what talks to the bucket may, and dumps reach the members only";
    got = map (addresses config) [
      "slipway-patroni"
      "shop-backup-wal-base"
      "shop-backup-drill"
      "slipway-backup-exporter"
      "shop-backup-dump"
    ];
    want = [
      "any"
      "any"
      "any"
      "any"
      members
    ];
  }
  {
    name = "cluster's backups: a new leader makes a base backup, once its roles are there";
    got = [
      (lib.elem "shop-backup-prepare.service" (unit config "slipway-cluster-setup").wants)
      (lib.elem "shop-database-leader.service" (lib.toList (unit config "shop-backup-prepare").after))
      (lib.elem "slipway-archive.service" (unit config "slipway-patroni").wants)
    ];
    want = [
      true
      true
      true
    ];
  }
  {
    name = "cluster's backups: nothing secret is in the store, and what is in the bucket is encrypted";
    got =
      let
        inherit (unit config "slipway-archive") serviceConfig;
      in
      [
        serviceConfig.LoadCredential
        config.environment.etc."pgbackrest/pgbackrest.conf".source
      ];
    want = [
      [ "secrets:/run/secrets/pgbackrest" ]
      "/run/slipway-archive/pgbackrest.conf"
    ];
  }
  {
    name = "cluster's backups: the server's account writes the records of restores, as on a single host";
    got = lib.elem "slipway-backup" config.users.users.postgres.extraGroups;
    want = true;
  }
  {
    name = "cluster's backups: a folder that all members mount";
    got =
      let
        mounted = of [
          {
            services.slipway.backup.archive = {
              shared = true;
              repository = "/srv/archive";
            };
          }
        ];
      in
      [
        (json mounted).wal.repository
        (unit mounted "slipway-patroni").unitConfig.RequiresMountsFor
        (lib.elem "/srv/archive" (unit mounted "slipway-patroni").serviceConfig.ReadWritePaths)
      ];
    want = [
      "/srv/archive"
      [ "/srv/archive" ]
      true
    ];
  }
  (refuses "a folder of one host" [ "${option}.enable is set" "archive.s3" "archive.shared" ] {
    enable = true;
  })
  (refuses "a bucket without its secrets"
    [ "${option}.secretsFile is not set" "shop-archive" "repo1-cipher-pass" ]
    {
      inherit s3;
    }
  )
  (refuses "a bucket and a folder" [ "${option}.s3 and shared are both set" ] {
    inherit s3;
    shared = true;
    secretsFile = "/run/secrets/pgbackrest";
  })
  (says "cluster's backups: another bucket on another member"
    [
      "s3.example.com/shop-archive/main on ha-1"
      "s3.example.com/other/main on ha-2"
      "one archive"
    ]
    (
      modules "ha-1" {
        hosts.ha-2.config = host (
          modules "ha-2" { }
          ++ [
            {
              services.slipway.backup.archive = {
                s3 = s3 // {
                  bucket = "other";
                };
                secretsFile = "/run/secrets/pgbackrest";
              };
            }
          ]
        );
      }
      ++ [ bucket ]
    )
  )
]
