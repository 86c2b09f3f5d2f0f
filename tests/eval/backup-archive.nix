# The archive of the host's Postgres and the exporter of its backups: one of each, however many stacks there are.
{
  host,
  refused,
  saysAmong,
  stack,
  lib,
  ...
}:
let
  offsite = import ./backup-offsite.nix;
  config = host [ (stack { backup = { inherit offsite; }; }) ];
  # By its name it comes before the other.
  another =
    { config, ... }:
    {
      services.slipway.stacks.app = {
        services = lib.mapAttrs (_: one: {
          inherit (one) preset package;
        }) config.services.slipway.stacks.shop.services;
        metrics.firstPort = 9400;
        proxy.enable = false;
        database.extensions = _: [ ];
      };
    };
  # What a stack and the server are made of: units, and files below /etc. The lines of who may connect are of all stacks.
  filesOf =
    config:
    let
      named = lib.filterAttrs (
        name: _:
        lib.hasPrefix "shop" name
        || lib.hasPrefix "redis-shop" name
        || lib.hasPrefix "postgresql" name
        || lib.hasPrefix "slipway-database" name
      );
      etc = lib.filterAttrs (
        name: _: lib.hasInfix "shop" name || lib.hasPrefix "pgbackrest/" name
      ) config.environment.etc;
    in
    lib.mapAttrs (_: unit: forget unit.text) (named config.systemd.units)
    // lib.mapAttrs (_: file: forget (toString file.text)) etc
    // {
      "postgresql.conf" = forget (
        builtins.toJSON (removeAttrs config.services.postgresql.settings [ "hba_file" ])
      );
      tmpfiles = builtins.toJSON (
        lib.filterAttrs (
          name: _: !lib.hasInfix "/app" name
        ) config.systemd.tmpfiles.settings."10-slipway-backup"
      );
    };
  # The server's start script has its configuration's name, which is made of everything.
  forget =
    text:
    builtins.unsafeDiscardStringContext (
      lib.concatStringsSep "\n" (
        lib.filter (line: builtins.match "(ExecStartPre|X-Re[a-z]+-Triggers)=.*" line == null) (
          lib.splitString "\n" text
        )
      )
    );
  says =
    name: words: archive: modules:
    saysAmong name words (modules ++ [ { services.slipway.backup = { inherit archive; }; } ]);
in
[
  {
    name = "the server hands its segments to pgBackRest";
    got = lib.hasSuffix "/bin/pgbackrest --stanza=main archive-push %p" config.services.postgresql.settings.archive_command;
    want = true;
  }
  (says "two writers of pgBackRest's configuration"
    [ "services.pgbackrest.enable" "services.slipway.backup.archive.enable" ]
    { }
    [
      (stack { })
      { services.pgbackrest.enable = true; }
    ]
  )
  (saysAmong "the exporter's port by its old name"
    [
      "services.slipway.stacks.shop.backup.exporter.port"
      "set services.slipway.backup.exporter.port"
    ]
    [ (stack { backup.exporter.port = 9203; }) ]
  )
  {
    name = "the archive's earlier name works, and a warning says the new one";
    got =
      let
        its = host [
          (stack { })
          { services.slipway.database.archive.keepDays = 8; }
          { boot.isContainer = true; }
        ];
      in
      [
        its.services.slipway.backup.archive.keepDays
        (lib.any (lib.hasInfix "services.slipway.backup.archive.keepDays") its.warnings)
      ];
    want = [
      8
      true
    ];
  }
  {
    name = "the archive's and the exporter's places are nowhere else by their defaults";
    got =
      let
        its = host [
          (stack { backup = { inherit offsite; }; })
          {
            services.slipway.backup = {
              archive.repository = "/srv/archive";
              exporter.port = 9203;
            };
          }
        ];
        left =
          text:
          lib.hasInfix "/var/lib/pgbackrest" (builtins.unsafeDiscardStringContext (toString text))
          || lib.hasInfix "9103" (toString text);
      in
      {
        units = lib.attrNames (
          lib.filterAttrs (
            name: unit: lib.hasPrefix "shop-" name && left (builtins.unsafeDiscardStringContext unit.text)
          ) its.systemd.units
        );
        server = left its.systemd.services.postgresql.preStart;
        files = lib.attrNames (
          lib.filterAttrs (
            name: file:
            lib.any (ours: lib.hasPrefix ours name) [
              "slipway/"
              "pgbackrest/"
            ]
            && file.text != null
            && left (builtins.unsafeDiscardStringContext file.text)
          ) its.environment.etc
        );
        folders = its.systemd.tmpfiles.settings."10-slipway-backup" ? "/var/lib/pgbackrest";
      };
    want = {
      units = [ ];
      server = false;
      files = [ ];
      folders = false;
    };
  }
  (saysAmong "the archive by its old name"
    [
      "services.slipway.stacks.shop.backup.pitr"
      "services.slipway.backup.archive"
    ]
    [ (stack { backup.pitr.keepDays = 8; }) ]
  )
  (says "differential backups that never come" [ "services.slipway.backup.archive.diffEveryDays" ] {
    diffEveryDays = 8;
  } [ (stack { }) ])
  (says "an archive below /home" [ "services.slipway.backup.archive.repository" "/srv/backup" ] {
    repository = "/home/archive";
  } [ (stack { }) ])
  (says "an archive for a server elsewhere"
    [ "services.slipway.backup.archive.stack" "where the server runs" ]
    { enable = true; }
    [
      (stack {
        database.urlFile = "/run/secrets/url";
        backup.enable = true;
      })
    ]
  )
  (says "an archive of nobody's" [ "services.slipway.backup.archive.stack" "name one of: shop" ] {
    stack = "post";
  } [ (stack { }) ])
  (says "two stacks and nobody named for their one archive"
    [
      "services.slipway.backup.archive.stack"
      "app shop"
    ]
    { }
    [
      (stack { })
      another
    ]
  )
  {
    name = "another stack changes no file of a stack that is there, nor of the server's archive";
    got =
      let
        archive.services.slipway.backup.archive.stack = "shop";
        alone = filesOf (host [
          (stack { })
          archive
        ]);
        beside = filesOf (host [
          (stack { })
          archive
          another
        ]);
      in
      {
        changed = lib.filter (name: alone.${name} != beside.${name} or null) (lib.attrNames alone);
        refused = refused [
          (stack { })
          archive
          another
        ];
        looked = lib.length (lib.attrNames alone) > 20;
      };
    want = {
      changed = [ ];
      refused = [ ];
      looked = true;
    };
  }
  {
    name = "no empty cluster is begun beside an archive";
    got = lib.hasInfix "/var/lib/pgbackrest/archive/main/archive.info" config.systemd.services.postgresql.preStart;
    want = true;
  }
]
