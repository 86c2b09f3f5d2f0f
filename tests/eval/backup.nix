# The stack's backups: what runs when and as whom, the files that drive it, and what is refused.
{
  host,
  refused,
  stack,
  lib,
  ...
}:
let
  # The files name programs of the store; reading them must not build those.
  fromJSON = text: builtins.fromJSON (builtins.unsafeDiscardStringContext text);
  at = "services.slipway.stacks.shop.backup";
  offsite = {
    repository = "s3:https://s3.example.com/backup-shop";
    passwordFile = "/run/secrets/restic-password";
    environmentFile = "/run/secrets/restic-environment";
    configuration = [ "/etc/nixos" ];
  };
  full = stack { backup = { inherit offsite; }; };
  config = host [ full ];
  units = lib.filterAttrs (name: _: lib.hasPrefix "shop-backup-" name) config.systemd.services;
  json = fromJSON config.environment.etc."slipway/backup/shop.json".text;
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
    lib.mapAttrs (_: unit: forget config unit.text) (named config.systemd.units)
    // lib.mapAttrs (_: file: forget config (toString file.text)) etc
    // {
      "postgresql.conf" = forget config (
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
    config: text:
    builtins.unsafeDiscardStringContext (
      lib.concatStringsSep "\n" (
        lib.filter (line: builtins.match "(ExecStartPre|X-Re[a-z]+-Triggers)=.*" line == null) (
          lib.splitString "\n" text
        )
      )
    );
  says =
    name: words: backup:
    saysOn name words { } [ (stack { inherit backup; }) ];
  saysOn = name: words: archive: modules: {
    inherit name;
    got =
      let
        messages = refused (modules ++ [ { services.slipway.backup = { inherit archive; }; } ]);
      in
      if lib.any (message: lib.all (word: lib.hasInfix word message) words) messages then
        "refused"
      else
        messages;
    want = "refused";
  };
in
[
  {
    name = "a stack with a database is backed up without a word";
    got = lib.attrNames (
      lib.filterAttrs (name: _: lib.hasPrefix "shop-backup-" name) (host [ (stack { }) ]).systemd.timers
    );
    want = [
      "shop-backup-drill"
      "shop-backup-dump"
      "shop-backup-verify"
      "shop-backup-wal-base"
    ];
  }
  {
    name = "the schedule, made up for after an outage and spread";
    got = lib.mapAttrs (_: timer: timer.timerConfig.OnCalendar) (
      lib.filterAttrs (
        name: timer:
        lib.hasPrefix "shop-backup-" name
        && timer.timerConfig.Persistent
        && timer.timerConfig.RandomizedDelaySec == "10min"
      ) config.systemd.timers
    );
    want = {
      shop-backup-dump = "*-*-* 02:15:00";
      shop-backup-wal-base = "*-*-* 03:30:00";
      shop-backup-offsite = "hourly";
      shop-backup-verify = "Sat *-*-* 04:30:00";
      shop-backup-drill = "Sun *-*-* 05:30:00";
    };
  }
  {
    name = "only base backups run as the server's account";
    got = lib.attrNames (lib.filterAttrs (_: unit: unit.serviceConfig.User == "postgres") units);
    want = [
      "shop-backup-prepare"
      "shop-backup-wal-base"
    ];
  }
  {
    name = "every unit is confined, and low in CPU and disk";
    got = lib.attrNames (
      lib.filterAttrs (
        _: unit:
        let
          s = unit.serviceConfig;
        in
        s.ProtectSystem == "strict" && s.NoNewPrivileges && s.CPUWeight == 20 && s.IOWeight == 20
      ) units
    );
    want = lib.attrNames units;
  }
  {
    name = "only copies leave the host";
    got = lib.attrNames (lib.filterAttrs (_: unit: !unit.serviceConfig.PrivateNetwork) units);
    want = [
      "shop-backup-offsite"
      "shop-backup-verify"
    ];
  }
  {
    name = "a folder as the place of copies is writable where it is needed, and needs no network";
    got =
      let
        inherit
          (host [
            (stack {
              backup.offsite = {
                repository = "/srv/restic";
                passwordFile = "/run/secrets/restic-password";
              };
            })
          ])
          systemd
          ;
        its = lib.filterAttrs (name: _: lib.hasPrefix "shop-backup-" name) systemd.services;
        having = holds: lib.attrNames (lib.filterAttrs (_: holds) its);
      in
      {
        writing = having (unit: lib.elem "/srv/restic" unit.serviceConfig.ReadWritePaths);
        mounted = having (unit: lib.elem "/srv/restic" unit.unitConfig.RequiresMountsFor);
        cached = having (unit: unit.serviceConfig ? CacheDirectory);
        networked = having (unit: !unit.serviceConfig.PrivateNetwork);
        owner = systemd.tmpfiles.settings."10-slipway-backup"."/srv/restic".d.user;
      };
    want = rec {
      writing = [
        "shop-backup-offsite"
        "shop-backup-verify"
      ];
      mounted = writing;
      cached = writing;
      networked = [ ];
      owner = "slipway-backup";
    };
  }
  {
    name = "secrets are credentials and paths";
    got = {
      credentials = units.shop-backup-offsite.serviceConfig.LoadCredential;
      password = json.offsite.password_file;
    };
    want = {
      credentials = [
        "restic-environment:/run/secrets/restic-environment"
        "restic-password:/run/secrets/restic-password"
      ];
      password = {
        credential = "restic-password";
        path = "/run/secrets/restic-password";
      };
    };
  }
  {
    name = "copies hold dumps, archive and configuration";
    got = json.offsite.paths;
    want = [
      "/var/lib/slipway-backup/shop/dumps"
      "/var/lib/pgbackrest"
      "/etc/nixos"
    ];
  }
  {
    name = "every kind has its unit in the configuration";
    got = lib.attrValues json.units;
    want = map (name: "${name}.service") (lib.remove "shop-backup-prepare" (lib.attrNames units));
  }
  {
    name = "the server hands its segments to pgBackRest";
    got = lib.hasSuffix "/bin/pgbackrest --stanza=main archive-push %p" config.services.postgresql.settings.archive_command;
    want = true;
  }
  {
    name = "a host without copies is warned";
    got =
      lib.any (lib.hasInfix "${at}.offsite names no repository")
        (host [
          (stack { })
          # Spares the evaluation of consoles and kernels.
          { boot.isContainer = true; }
        ]).warnings;
    want = true;
  }
  {
    name = "a server elsewhere is dumped by its URL, and not archived";
    got =
      let
        away = host [
          (stack {
            database.urlFile = "/run/secrets/url";
            backup.enable = true;
          })
        ];
        its = fromJSON away.environment.etc."slipway/backup/shop.json".text;
      in
      {
        inherit (its.database) url_file;
        archived = its ? wal;
        network = away.systemd.services.shop-backup-dump.serviceConfig.PrivateNetwork;
      };
    want = {
      url_file = {
        credential = "database-url";
        path = "/run/secrets/url";
      };
      archived = false;
      network = false;
    };
  }
  (saysOn "nothing to back up" [ "${at}.enable" "database.urlFile" ] { enable = false; } [
    (stack {
      database.enable = false;
      backup.enable = true;
    })
  ])
  (saysOn "two writers of pgBackRest's configuration"
    [ "services.pgbackrest.enable" "services.slipway.backup.archive.enable" ]
    { }
    [
      (stack { })
      { services.pgbackrest.enable = true; }
    ]
  )
  (says "copies without a password" [ "${at}.offsite.passwordFile" ] {
    offsite.repository = "/srv/x";
  })
  (says "two addresses" [ "${at}.offsite.repository" "repositoryFile" ] {
    offsite = offsite // {
      repositoryFile = "/run/secrets/repository";
    };
  })
  (says "copies to nowhere" [ "${at}.offsite.enable" "repositoryFile" ] {
    offsite.enable = true;
    offsite.passwordFile = "/run/secrets/p";
  })
  (says "a password in the address" [ "${at}.offsite.repository" "repositoryFile" ] {
    offsite = offsite // {
      repository = "rest:https://user:hunter2@backup.example.com/shop";
    };
  })
  (says "a folder below /home" [ "${at}.directory" "/srv/backup" ] {
    directory = "/home/backup/shop";
  })
  (says "a drill below /home" [ "${at}.drill.directory" "/srv/backup" ] {
    drill.directory = "/home/scratch";
  })
  (says "copies into a home" [ "${at}.offsite.repository" "/srv/backup" ] {
    offsite = offsite // {
      repository = "/root/restic";
    };
  })
  (says "folders that nothing would keep" [ "${at}.paths" "offsite.repository" ] {
    paths = [ "/var/lib/shop-web" ];
  })
  (says "the exporter's port by its old name" [
    "${at}.exporter.port"
    "set services.slipway.backup.exporter.port"
  ] { exporter.port = 9203; })
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
    name = "folders are kept in the copies, by their earlier name as well, and only copies may read them";
    got =
      map
        (
          backup:
          let
            its = host [ (stack { inherit backup; }) ];
            unit = its.systemd.services.shop-backup-offsite.serviceConfig;
          in
          {
            path =
              lib.elem "/var/lib/shop-web"
                (fromJSON its.environment.etc."slipway/backup/shop.json".text).offsite.paths;
            inherit (unit) AmbientCapabilities PrivateUsers;
            closed = lib.elem "-/run/agenix.d" (unit.InaccessiblePaths or [ ]);
            others = its.systemd.services.shop-backup-dump.serviceConfig.AmbientCapabilities;
          }
        )
        [
          {
            inherit offsite;
            paths = [ "/var/lib/shop-web" ];
          }
          {
            offsite = offsite // {
              paths = [ "/var/lib/shop-web" ];
            };
          }
          { inherit offsite; }
        ];
    want =
      let
        reads = {
          path = true;
          AmbientCapabilities = "CAP_DAC_READ_SEARCH";
          PrivateUsers = false;
          closed = true;
          others = "";
        };
      in
      [
        reads
        reads
        {
          path = false;
          AmbientCapabilities = "";
          PrivateUsers = true;
          closed = false;
          others = "";
        }
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
  (says "the archive by its old name" [
    "${at}.pitr"
    "services.slipway.backup.archive"
  ] { pitr.keepDays = 8; })
  (saysOn "differential backups that never come" [ "services.slipway.backup.archive.diffEveryDays" ] {
    diffEveryDays = 8;
  } [ (stack { }) ])
  (saysOn "an archive below /home" [ "services.slipway.backup.archive.repository" "/srv/backup" ] {
    repository = "/home/archive";
  } [ (stack { }) ])
  (saysOn "an archive for a server elsewhere"
    [ "services.slipway.backup.archive.stack" "where the server runs" ]
    { enable = true; }
    [
      (stack {
        database.urlFile = "/run/secrets/url";
        backup.enable = true;
      })
    ]
  )
  (saysOn "an archive of nobody's" [ "services.slipway.backup.archive.stack" "name one of: shop" ] {
    stack = "post";
  } [ (stack { }) ])
  (saysOn "two stacks and nobody named for their one archive"
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
    name = "what is copied from a home can be read, by what copies";
    got =
      let
        its =
          (host [
            (stack {
              backup = {
                inherit offsite;
                paths = [ "/home/shop/uploads" ];
              };
            })
          ]).systemd.services;
      in
      [
        its.shop-backup-offsite.serviceConfig.ProtectHome
        its.shop-backup-dump.serviceConfig.ProtectHome
      ];
    want = [
      "read-only"
      true
    ];
  }
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
    name = "the build has systemd read every schedule";
    got =
      let
        test = lib.findFirst (check: check.name == "backup-schedules-test") null config.system.checks;
      in
      map (words: lib.hasInfix words test.buildCommand) [
        "services.slipway.stacks.shop.backup.offsite.schedule hourly"
        "services.slipway.backup.archive.schedule '*-*-* 03:30:00'"
      ];
    want = [
      true
      true
    ];
  }
  {
    name = "both accounts can take the locks, whoever made them";
    got = {
      inherit
        (config.systemd.tmpfiles.settings."10-slipway-backup"."/var/lib/slipway-backup/shop/locks".d)
        mode
        group
        ;
      files =
        config.systemd.tmpfiles.settings."10-slipway-backup"."/var/lib/slipway-backup/shop/locks/*".z.mode;
    };
    want = {
      mode = "2770";
      group = "slipway-backup";
      files = "0660";
    };
  }
  {
    name = "no empty cluster is begun beside an archive";
    got = lib.hasInfix "/var/lib/pgbackrest/archive/main/archive.info" config.systemd.services.postgresql.preStart;
    want = true;
  }
]
