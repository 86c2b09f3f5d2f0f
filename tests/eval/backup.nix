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
  says = name: words: backup: {
    inherit name;
    got =
      let
        messages = refused [ (stack { inherit backup; }) ];
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
  (says "differential backups that never come" [ "${at}.pitr.diffEveryDays" ] {
    pitr.diffEveryDays = 8;
  })
  {
    name = "an archive for a server elsewhere is refused";
    got = lib.any (lib.hasInfix "${at}.pitr.enable needs the server on this host") (refused [
      (stack {
        database.urlFile = "/run/secrets/url";
        backup.enable = true;
        backup.pitr.enable = true;
      })
    ]);
    want = true;
  }
]
