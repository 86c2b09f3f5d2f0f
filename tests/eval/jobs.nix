# Jobs on a host: those with a schedule, and those before a start.
{
  host,
  refused,
  says,
  stack,
  standIn,
  lib,
  ...
}:
let
  at = "services.slipway.stacks.shop.jobs";
  program = {
    package = standIn "thing";
    arguments = [ "report" ];
  };
  jobs = all: stack { jobs = lib.mapAttrs (_: job: program // job) all; };
  config = host [
    (jobs {
      report = {
        schedule.calendar = "Mon..Fri 03:15";
        retries = 2;
        timeoutSeconds = 600;
        secrets.REPORT_KEY = "/run/secrets/report";
      };
      feed.schedule.intervalSeconds = 900;
      seed.before = "start";
    })
  ];
  inherit (config.systemd) services timers;
  report = services.shop-report;
  commandsOf = unit: map (command: lib.last (lib.splitString "/" command)) (lib.toList unit);
  unitsOf = kind: lib.attrNames (lib.filterAttrs (name: _: lib.hasPrefix "shop" name) kind);
  none = host [ (stack { }) ];
  known = [
    "Mon..Fri *:0/7"
    "Sat,Sun 10:00"
    "Sun *-*-* 05:30:00 Europe/Berlin"
    "*-*~01 04:00"
    "*:*:0/1.5"
    "09..17:00/10"
    "12-24"
    "semi-annually"
    "Wed, 17:48"
    "@1395716396"
  ];
  unknown = [
    "dayly"
    "24:00"
    "03:15:60"
    "*-13-01"
    "Fun 10:00"
    "*:0/7.5"
    "5 4 * * *"
    "UTC"
    ""
  ];
in
[
  {
    name = "the time of each job";
    got = lib.mapAttrs (_: timer: timer.timerConfig) {
      inherit (timers) shop-report shop-feed;
    };
    want = {
      shop-report = {
        AccuracySec = "1s";
        OnCalendar = "Mon..Fri 03:15";
        Persistent = true;
      };
      shop-feed = {
        AccuracySec = "1s";
        OnUnitInactiveSec = 900;
      };
    };
  }
  {
    name = "timers begin and stop with the stack";
    got = {
      inherit (timers.shop-report) wantedBy partOf;
    };
    want = {
      wantedBy = [ "shop.target" ];
      partOf = [ "shop.target" ];
    };
  }
  {
    name = "a scheduled run has a bound, waits for a rolling restart, and goes on through a switch";
    got = {
      inherit (report) restartIfChanged requires;
      inherit (report.serviceConfig) Type TimeoutStartSec TimeoutStopSec;
      again = report.serviceConfig ? RemainAfterExit || report.serviceConfig ? Restart;
      roll = lib.elem "shop-roll.service" report.after;
    };
    want = {
      restartIfChanged = false;
      requires = [ ];
      Type = "oneshot";
      TimeoutStartSec = 600;
      TimeoutStopSec = 40;
      again = false;
      roll = true;
    };
  }
  {
    name = "it has the stack's account, database, secrets and sandbox, and its own secrets";
    got = {
      inherit (report.serviceConfig)
        User
        Group
        ProtectSystem
        PrivateUsers
        ;
      inherit (report.environment) DATABASE_HOST DATABASE_USER;
      secrets = lib.filter (lib.hasPrefix "REPORT_KEY:") report.serviceConfig.LoadCredential;
      elsewhere = lib.any (lib.hasPrefix "REPORT_KEY:") services.shop-api-1.serviceConfig.LoadCredential;
      requires = lib.elem "postgresql.service" report.after;
    };
    want = {
      User = "shop";
      Group = "shop";
      ProtectSystem = "strict";
      PrivateUsers = true;
      DATABASE_HOST = "/run/postgresql";
      DATABASE_USER = "shop";
      secrets = [ "REPORT_KEY:/run/secrets/report" ];
      elsewhere = false;
      requires = true;
    };
  }
  {
    name = "every end is recorded, after the program's own last words";
    got =
      let
        own = host [
          (jobs {
            report = {
              schedule.calendar = "daily";
              serviceConfig.ExecStopPost = "/bin/bye";
            };
          })
        ];
      in
      map (unit: commandsOf unit.serviceConfig.ExecStopPost) [
        report
        own.systemd.services.shop-report
      ];
    want = [
      [ "slipway-jobs ended report" ]
      [
        "bye"
        "slipway-jobs ended report"
      ]
    ];
  }
  {
    name = "a job before a start has no schedule's units, and a stack without schedules has none at all";
    got = {
      timers = unitsOf timers;
      services = lib.filter (unit: lib.hasSuffix "-late" unit || unit == "shop-jobs") (unitsOf services);
      seed = services.shop-seed.serviceConfig.RemainAfterExit;
      none = lib.filter (unit: lib.hasSuffix "-late" unit || unit == "shop-jobs") (
        unitsOf none.systemd.services
      );
      flags = none.services.prometheus.exporters.node.extraFlags;
    };
    want = {
      timers = [
        "shop-backup-drill"
        "shop-backup-dump"
        "shop-backup-verify"
        "shop-backup-wal-base"
        "shop-feed"
        "shop-report"
      ];
      services = [
        "shop-feed-late"
        "shop-jobs"
        "shop-report-late"
      ];
      seed = true;
      none = [ ];
      flags = [ ];
    };
  }
  {
    name = "node-exporter reads the metrics, and they go with the unit";
    got = {
      inherit (config.services.prometheus.exporters.node) extraFlags;
      inherit (services.shop-jobs.serviceConfig) RuntimeDirectory;
      kept = services.shop-jobs.serviceConfig ? RuntimeDirectoryPreserve;
    };
    want = {
      extraFlags = [ "--collector.textfile.directory=/run/slipway-jobs/*" ];
      RuntimeDirectory = "slipway-jobs/shop";
      kept = false;
    };
  }
  {
    name = "a job that is switched off leaves nothing";
    got =
      let
        off = host [
          (jobs {
            report = {
              enable = false;
              schedule.calendar = "daily";
            };
          })
        ];
      in
      lib.filter (unit: lib.hasInfix "report" unit || unit == "shop-jobs") (
        unitsOf off.systemd.services ++ unitsOf off.systemd.timers
      );
    want = [ ];
  }
  {
    name = "jobs before a start follow each other";
    got =
      let
        two = host [
          (jobs {
            last = {
              before = "start";
              after = [ "migrate" ];
            };
          })
        ];
      in
      {
        inherit (two.systemd.services.shop-last) requires;
        inherit (two.services.slipway.stacks.shop.jobs.last) after;
        replica = lib.filter (lib.hasPrefix "shop-") two.systemd.services.shop-api-1.after;
      };
    want = {
      requires = [ "shop-migrate.service" ];
      after = [ "migrate" ];
      replica = [
        "shop-api-1.socket"
        "shop-migrate.service"
        "shop-last.service"
        "shop-database.service"
      ];
    };
  }
  {
    name = "the schedules are asked for by `slipway verify` and by the agent";
    got =
      let
        verified = builtins.fromJSON config.environment.etc."slipway/stacks/shop.json".text;
        agent = host [
          (jobs { feed.schedule.intervalSeconds = 900; })
          {
            services.slipway.agent = {
              enable = true;
              apiUrl = "https://deploy.example.com";
              tokenFile = "/run/secrets/token";
            };
          }
        ];
      in
      {
        units = lib.intersectLists verified.units [
          "shop-feed.timer"
          "shop-jobs.service"
          "shop-report.timer"
        ];
        checks = lib.intersectLists [
          "shop-feed.timer"
          "shop-jobs.service"
        ] (lib.attrNames agent.services.slipway.agent.checks);
      };
    want = {
      units = [
        "shop-feed.timer"
        "shop-jobs.service"
        "shop-report.timer"
      ];
      checks = [
        "shop-feed.timer"
        "shop-jobs.service"
      ];
    };
  }
  (says "jobs that wait for each other"
    [
      "${at}.one.after, jobs.two.after wait for each other"
      "take one of them out"
    ]
    [
      (jobs {
        one = {
          before = "start";
          after = [ "two" ];
        };
        two = {
          before = "start";
          after = [ "one" ];
        };
      })
    ]
  )
  (says "a job that waits for one that is not before a start"
    [
      "${at}.seed.after names report"
      "before = \"start\""
    ]
    [
      (jobs {
        report.schedule.calendar = "daily";
        seed = {
          before = "start";
          after = [ "report" ];
        };
      })
    ]
  )
  (says "a scheduled job that waits for one before a start"
    [ "${at}.report.after names migrate: only jobs" ]
    [
      (jobs {
        report = {
          schedule.calendar = "daily";
          after = [ "migrate" ];
        };
      })
    ]
  )
  (says "a job that waits for one that is not there"
    [ "${at}.seed.after names nobody" "there is migrate." ]
    [
      (jobs {
        seed = {
          before = "start";
          after = [ "nobody" ];
        };
      })
    ]
  )
  (says "a job that waits for a name with a letter less"
    [ "${at}.seed.after names migrat" "is migrate meant?" ]
    [
      (jobs {
        seed = {
          before = "start";
          after = [ "migrat" ];
        };
      })
    ]
  )
  (says "a time that no clock shows"
    [ "${at}.report.schedule.calendar is 25:70" "03:15:00" ]
    [ (jobs { report.schedule.calendar = "25:70"; }) ]
  )
  {
    name = "a text is a calendar";
    got =
      (host [ (jobs { report.schedule = "daily"; }) ]).systemd.timers.shop-report.timerConfig.OnCalendar;
    want = "daily";
  }
  {
    name = "times that `systemd-analyze calendar` reads, and others";
    got = map (lib.filter (import ../../nix/stack/calendar.nix { inherit lib; }).isCalendar) [
      known
      unknown
    ];
    want = [
      known
      [ ]
    ];
  }
  (says "a job without a time"
    [
      "${at}.report needs a time to run"
      "schedule"
    ]
    [ (jobs { report = { }; }) ]
  )
  (says "a job with two times"
    [ "${at}.report needs a time to run" ]
    [
      (jobs {
        report = {
          before = "start";
          schedule.calendar = "daily";
        };
      })
    ]
  )
  (says "a schedule's options without a schedule"
    [
      "${at}.seed sets lateSeconds retries cron"
      "leave it out"
    ]
    [
      (jobs {
        seed = {
          before = "start";
          lateSeconds = 60;
          retries = 1;
          cron = "0 3 * * *";
        };
      })
    ]
  )
  (says "a job with a name that no unit can have"
    [ "${at}.Report_1: the name" ]
    [
      (jobs { Report_1.before = "start"; })
    ]
  )
  (says "a job with the name of another's late unit"
    [ "${at}.x and ${at}.x-late" ]
    [
      (jobs {
        x.schedule.calendar = "daily";
        x-late.schedule.calendar = "daily";
      })
    ]
  )
  {
    name = "a job with the name of a service";
    got = lib.any (lib.hasInfix "${at}.worker and services.worker have the same name") (refused [
      (jobs { worker.schedule.calendar = "daily"; })
    ]);
    want = true;
  }
]
