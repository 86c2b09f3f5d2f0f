# What a program that an attacker has taken over can hold up, redirect or leave behind.
{
  host,
  says,
  standIn,
  lib,
  ...
}:
let
  of =
    stack:
    host [
      {
        services.slipway.stacks.shop = {
          database.enable = false;
          cache.enable = false;
          backup.enable = false;
          proxy.enable = false;
        }
        // stack;
      }
    ];
  serving =
    web:
    of {
      services.web = {
        package = standIn "web";
      }
      // web;
    };

  unix = serving { listen.type = "unix"; };
  mounts = its: lib.filter (mount: lib.hasPrefix "/run/slipway" mount.where) its.systemd.mounts;
  words = command: lib.concatStringsSep " " (lib.tail (lib.splitString " " command));
in
[
  {
    name = "no link in the folder of a socket is followed, before anything is in it and until the next boot";
    got = {
      mounts = map (mount: {
        inherit (mount) where before;
        options = lib.intersectLists [
          "nosymfollow"
          "size=1M"
          "nr_inodes=1024"
        ] (lib.splitString "," mount.options);
        stays = !mount.unitConfig.X-StopOnRemoval;
      }) (mounts unix);
      required = map (unit: unix.systemd.services.${unit}.unitConfig.RequiresMountsFor) [
        "shop-web-1"
        "shop-web-trial"
      ];
      none = mounts (serving {
        listen.port = 3000;
      });
    };
    want = {
      mounts = [
        {
          where = "/run/slipway-sockets/shop";
          before = [
            "systemd-tmpfiles-setup.service"
            "systemd-tmpfiles-resetup.service"
          ];
          options = [
            "nosymfollow"
            "size=1M"
            "nr_inodes=1024"
          ];
          stays = true;
        }
      ];
      required = [
        [ "/run/slipway-sockets/shop" ]
        [ "/run/slipway-sockets/shop" ]
      ];
      none = [ ];
    };
  }
  {
    name = "each process opens its own ports and no other";
    got =
      let
        its = of {
          services.web = {
            package = standIn "web";
            listen.port = 3000;
            metrics.port = 9400;
            replicas = 2;
            health.live = "/healthz";
            extraPorts = [ 7946 ];
          };
          services.quiet.package = standIn "quiet";
          jobs.report = {
            package = standIn "report";
            schedule.calendar = "daily";
          };
        };
        opens = unit: {
          allow = its.systemd.services.${unit}.serviceConfig.SocketBindAllow;
          deny = its.systemd.services.${unit}.serviceConfig.SocketBindDeny;
        };
      in
      lib.genAttrs [
        "shop-web-1"
        "shop-web-2"
        "shop-web-trial"
        "shop-web-1-live"
        "shop-quiet-1"
        "shop-report"
      ] opens;
    want =
      let
        only = allow: {
          inherit allow;
          deny = "1-65535";
        };
      in
      {
        shop-web-1 = only [
          "3000"
          "9400"
          "7946"
        ];
        shop-web-2 = only [
          "3001"
          "9401"
          "7946"
        ];
        shop-web-trial = only [
          "2999"
          "7946"
        ];
        shop-web-1-live = only [ "7946" ];
        shop-quiet-1 = only [ ];
        shop-report = only [ ];
      };
  }
  {
    name = "no other stack moves the ports of a process";
    got =
      let
        opens =
          more:
          (host [
            {
              services.slipway.stacks = {
                shop = {
                  services.web = {
                    package = standIn "web";
                    listen.port = 3000;
                  };
                  database.enable = false;
                  cache.enable = false;
                  backup.enable = false;
                  proxy.enable = false;
                };
              }
              // more;
            }
          ]).systemd.services.shop-web-1.serviceConfig;
      in
      opens { } == opens {
        blog = {
          services.web = {
            package = standIn "web";
            listen.port = 4000;
            metrics.port = 9500;
          };
          database.enable = false;
        };
      };
    want = true;
  }
  {
    name = "a stand-in leaves no socket behind";
    got = map words unix.systemd.services.shop-web-trial.serviceConfig.ExecStopPost;
    want = [ "-f /run/slipway-sockets/shop/web-trial/socket" ];
  }
  {
    name = "a program that says itself when it is ready says nothing more once it is told to end";
    got =
      map
        (
          web:
          let
            inherit ((serving web).systemd.services.shop-web-1) serviceConfig;
          in
          {
            access = serviceConfig.NotifyAccess or null;
            stop = map (
              command: lib.hasPrefix "-+" command && lib.hasSuffix "/bin/systemd-notify NOTIFYACCESS=none" command
            ) (serviceConfig.ExecStop or [ ]);
          }
        )
        [
          { type = "notify"; }
          {
            type = "notify";
            serviceConfig = {
              ExecStop = "/bin/own";
              NotifyAccess = "all";
            };
          }
          { }
        ];
    want = [
      {
        access = "exec";
        stop = [ true ];
      }
      {
        access = "all";
        stop = [
          true
          false
        ];
      }
      {
        access = null;
        stop = [ ];
      }
    ];
  }
  {
    name = "what a job before a start has left running ends before the replicas start";
    got =
      let
        its = of {
          jobs.migrate = {
            package = standIn "migrate";
            before = "start";
            serviceConfig.ExecStartPost = "/bin/own";
          };
          jobs.report = {
            package = standIn "report";
            schedule.calendar = "daily";
          };
        };
      in
      {
        migrate = map (command: lib.hasSuffix "-slipway-end-leftovers" command) (
          its.systemd.services.shop-migrate.serviceConfig.ExecStartPost
        );
        report = its.systemd.services.shop-report.serviceConfig ? ExecStartPost;
      };
    want = {
      migrate = [
        false
        true
      ];
      report = false;
    };
  }
  {
    name = "the records of a stack's last job go with it";
    got = map (jobs: (of { inherit jobs; }).systemd.tmpfiles.settings ? "10-slipway-shop-jobs") [
      { }
      {
        report = {
          package = standIn "report";
          schedule.calendar = "daily";
        };
      }
    ];
    want = [
      true
      false
    ];
  }
  # 3102 is free, but its stand-in would take 3101.
  (says "a port that is free for the stand-in too"
    [
      "services.slipway.stacks.shop.services.one.listen.port (3099 to 3100)"
      "services.slipway.stacks.shop.services.two.listen.port (3100 to 3101)"
      "such as 3103."
    ]
    [
      {
        services.slipway.stacks.shop = {
          database.enable = false;
          cache.enable = false;
          backup.enable = false;
          proxy.enable = false;
          services.one = {
            package = standIn "one";
            listen.port = 3100;
          };
          services.two = {
            package = standIn "two";
            listen.port = 3101;
          };
        };
      }
    ]
  )
]
