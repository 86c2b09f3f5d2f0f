# The stack's backups: what runs when and as whom, the files that drive it, what is copied, and what is refused.
{
  host,
  saysAmong,
  stack,
  lib,
  ...
}:
let
  # The files name programs of the store; reading them must not build those.
  fromJSON = text: builtins.fromJSON (builtins.unsafeDiscardStringContext text);
  at = "services.slipway.stacks.shop.backup";
  offsite = import ./backup-offsite.nix;
  config = host [ (stack { backup = { inherit offsite; }; }) ];
  units = lib.filterAttrs (name: _: lib.hasPrefix "shop-backup-" name) config.systemd.services;
  json = fromJSON config.environment.etc."slipway/backup/shop.json".text;
  says =
    name: words: backup:
    saysAmong name words [ (stack { inherit backup; }) ];
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
  (saysAmong "nothing to back up"
    [ "${at}.enable" "database.urlFile" ]
    [
      (stack {
        database.enable = false;
        backup.enable = true;
      })
      { services.slipway.backup.archive.enable = false; }
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
]
