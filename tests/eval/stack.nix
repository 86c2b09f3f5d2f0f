# The result of a stack with default options.
{
  host,
  stack,
  standIn,
  lib,
  ...
}:
let
  config = host [ (stack { }) ];
  inherit (config.systemd) services sockets targets;
  api = services.shop-api-1;
  facts = builtins.fromJSON config.environment.etc."slipway/stacks/shop.json".text;
  unitsOf =
    config: role: lib.filter (lib.hasPrefix "shop-${role}-") (lib.attrNames config.systemd.services);
  changed = host [ (stack { environment.GREETING = "hello"; }) ];
  planOf = config: config.systemd.services.shop-roll.serviceConfig.ExecStart;
in
[
  {
    name = "three replicas of the api, and the trial";
    got = unitsOf config "api";
    want = [
      "shop-api-1"
      "shop-api-2"
      "shop-api-3"
      "shop-api-trial"
    ];
  }
  {
    name = "two workers, and the trial";
    got = unitsOf config "worker";
    want = [
      "shop-worker-1"
      "shop-worker-2"
      "shop-worker-trial"
    ];
  }
  {
    name = "limits of a process";
    got = {
      inherit (api.serviceConfig)
        CPUQuota
        MemoryMax
        MemoryHigh
        TasksMax
        LimitNOFILE
        ;
    };
    want = {
      CPUQuota = "200%";
      MemoryMax = "2048M";
      MemoryHigh = "1843M";
      TasksMax = 512;
      LimitNOFILE = 65536;
    };
  }
  {
    name = "a process is waited for, watched, given time to finish, and started again for ever";
    got = {
      inherit (api.serviceConfig)
        Type
        WatchdogSec
        TimeoutStopSec
        Restart
        ;
      inherit (api.unitConfig) StartLimitIntervalSec;
    };
    want = {
      Type = "notify";
      WatchdogSec = 30;
      TimeoutStopSec = 40;
      Restart = "always";
      StartLimitIntervalSec = 0;
    };
  }
  {
    name = "a switch leaves replicas to the roll, also those that are no more";
    got = [
      api.restartIfChanged
      api.unitConfig.X-StopOnRemoval
      services.shop-migrate.restartIfChanged
      services.shop-roll.restartIfChanged
      services.shop-roll.stopIfChanged
    ];
    want = [
      false
      false
      false
      true
      false
    ];
  }
  {
    name = "a changed replica changes the roll";
    got = planOf config == planOf changed;
    want = false;
  }
  {
    name = "a roll is given longer than the migrations and replicas that it waits for";
    got =
      let
        inherit (config.services.slipway.stacks.shop) rollSeconds;
        migrate = services.shop-migrate.serviceConfig.TimeoutStartSec;
      in
      [
        (rollSeconds - migrate)
        services.shop-roll.serviceConfig.TimeoutStartSec
      ];
    want = [
      ((40 + 40) * (3 + 1) + (40 + 40) * (2 + 1))
      1160
    ];
  }
  {
    name = "a switch is given longer than the longest roll, and says so in the system";
    got =
      let
        two = host [
          (stack { jobs.migrate.timeoutSeconds = 3600; })
          {
            services.slipway.stacks.post = {
              services = lib.mapAttrs (_: one: {
                inherit (one) preset package;
              }) config.services.slipway.stacks.shop.services;
              metrics.firstPort = 9400;
            };
          }
        ];
      in
      map (config: builtins.fromJSON config.environment.etc."slipway/activation.json".text) [
        config
        two
      ];
    want = [
      { seconds = 1280; }
      { seconds = 4280; }
    ];
  }
  {
    name = "a migration whose program was killed ends in the server as well";
    got = config.services.postgresql.settings.client_connection_check_interval;
    want = "5s";
  }
  {
    name = "a roll that cannot be at boot is tried again";
    got = services.shop-roll.serviceConfig.RestartForceExitStatus;
    want = 75;
  }
  {
    name = "the roll sees every secret that systemd gives to the processes";
    got = {
      inherit (services.shop-roll.serviceConfig) ProtectHome PrivateTmp;
    };
    want = {
      inherit (services.shop-secrets.serviceConfig) ProtectHome PrivateTmp;
    };
  }
  {
    name = "a database that only the secret names can be reached";
    got =
      map
        (
          unit:
          (host [ (stack { database.urlFile = "/run/secrets/url"; }) ]).systemd.services.${unit}.serviceConfig
          ? IPAddressDeny
        )
        [
          "shop-api-1"
          "shop-worker-1"
          "shop-migrate"
        ];
    want = [
      false
      false
      false
    ];
  }
  {
    name = "the command of each process";
    got = map (unit: lib.last (lib.splitString "/" services.${unit}.serviceConfig.ExecStart)) [
      "shop-api-1"
      "shop-worker-1"
      "shop-migrate"
    ];
    want = [
      "shop serve"
      "shop run"
      "shop migrate"
    ];
  }
  {
    name = "sockets that only the stack's group may use";
    got = {
      inherit (sockets.shop-api-2.socketConfig)
        ListenStream
        SocketUser
        SocketGroup
        SocketMode
        ;
    };
    want = {
      ListenStream = "/run/slipway/shop/api-2.sock";
      SocketUser = "shop";
      SocketGroup = "shop";
      SocketMode = "0660";
    };
  }
  {
    name = "nobody's trial is started by itself";
    got = [
      services.shop-api-trial.wantedBy
      services.shop-worker-trial.wantedBy
      sockets.shop-api-trial.wantedBy
    ];
    want = [
      [ ]
      [ ]
      [ ]
    ];
  }
  {
    name = "another number of api replicas moves no worker's metrics";
    got =
      (host [ (stack { services.api.replicas = 7; }) ])
      .systemd.services.shop-worker-1.environment.METRICS_PORT;
    want = services.shop-worker-1.environment.METRICS_PORT;
  }
  {
    name = "the facts for `slipway verify`";
    got = facts // {
      units = lib.take 1 facts.units;
    };
    want = {
      version = 1;
      name = "shop";
      controlPlane = false;
      domain = null;
      url = null;
      api = {
        sockets = map (n: "/run/slipway/shop/api-${n}.sock") [
          "1"
          "2"
          "3"
        ];
        metrics = map (port: "http://127.0.0.1:${port}/metrics") [
          "9200"
          "9201"
          "9202"
        ];
      };
      worker.metrics = [
        "http://127.0.0.1:9264/metrics"
        "http://127.0.0.1:9265/metrics"
      ];
      backup.statusUrl = "http://127.0.0.1:9103/status";
      units = [ "shop-api-1.service" ];
    };
  }
  {
    name = "verify looks at what the processes need as well";
    got = lib.intersectLists facts.units [
      "postgresql.service"
      "redis-shop.service"
      "shop-roll.service"
    ];
    want = [
      "postgresql.service"
      "redis-shop.service"
      "shop-roll.service"
    ];
  }
  {
    name = "a stack that is switched off leaves nothing";
    got = lib.filter (lib.hasPrefix "shop") (
      lib.attrNames (host [ (stack { enable = false; }) ]).systemd.services
    );
    want = [ ];
  }
  {
    name = "migrations can be left out";
    got = (host [ (stack { jobs.migrate.enable = false; }) ]).systemd.services ? shop-migrate;
    want = false;
  }
  {
    name = "the earlier names of options still work, and a warning says the new ones";
    got =
      let
        old = host [
          {
            services.slipway.stacks.shop = {
              api.package = standIn "shop";
              api.trial = false;
              worker.package = standIn "shop";
              migrations.timeoutSeconds = 77;
            };
          }
        ];
        named =
          name: lib.any (lib.hasInfix "The option `${name}'") old.services.slipway.stacks.shop.warnings;
      in
      {
        command = old.systemd.services.shop-api-1.serviceConfig.ExecStart == api.serviceConfig.ExecStart;
        trials = lib.filter (lib.hasSuffix "-trial") (lib.attrNames old.systemd.services);
        timeout = old.systemd.services.shop-migrate.serviceConfig.TimeoutStartSec;
        warned = map named [
          "api"
          "worker"
          "migrations"
        ];
      };
    want = {
      command = true;
      trials = [ "shop-worker-trial" ];
      timeout = 77;
      warned = [
        true
        true
        true
      ];
    };
  }
  {
    name = "a service of another shape, with secrets and files of its own";
    got =
      let
        other = host [
          (stack {
            secrets.SHARED = "/run/secrets/shared";
            environment.LEVEL = "info";
            services.web = {
              package = standIn "web";
              arguments = [
                "--title"
                "50% of $HOME"
                "--listen=$(HOST):$(PORT)"
                "$$(PORT)"
              ];
              replicas = 2;
              listen.port = 3000;
              environment = {
                LEVEL = null;
                DEBUG = true;
                FORMAT = "%d";
              };
              secrets.OWN = "/run/secrets/own";
              path = [ (standIn "tool") ];
              stateDirectory = true;
              rolling = "stand-in";
              stopSignal = "SIGINT";
              writablePaths = [ "/srv/web" ];
              readablePaths = [ "/home/media" ];
              serviceConfig.MemoryDenyWriteExecute = false;
            };
          })
        ];
        inherit (other.services.slipway.stacks.shop.services) web;
        unit = other.systemd.services.shop-web-2;
      in
      {
        inherit (web) addresses standIn;
        command = lib.last (lib.splitString "/bin/" unit.serviceConfig.ExecStart);
        environment = {
          inherit (unit.environment)
            HOST
            PORT
            DEBUG
            FORMAT
            OWN_FILE
            SHARED_FILE
            ;
          level = unit.environment ? LEVEL;
        };
        inherit (unit.serviceConfig)
          Type
          MemoryDenyWriteExecute
          StateDirectory
          KillSignal
          ReadWritePaths
          ProtectHome
          BindReadOnlyPaths
          ;
        watched = unit.serviceConfig ? WatchdogSec;
        path = lib.hasInfix "-tool/bin" unit.environment.PATH;
        elsewhere = lib.any (lib.hasPrefix "OWN:") other.systemd.services.shop-api-1.serviceConfig.LoadCredential;
      };
    want = {
      addresses = [
        "127.0.0.1:3000"
        "127.0.0.1:3001"
      ];
      standIn = "127.0.0.1:2999";
      command = "web --title \"50%% of $$HOME\" \"--listen=\${HOST}:\${PORT}\" \"$$(PORT)\"";
      environment = {
        HOST = "127.0.0.1";
        PORT = "3001";
        DEBUG = "true";
        FORMAT = "%%d";
        OWN_FILE = "%d/OWN";
        SHARED_FILE = "%d/SHARED";
        level = false;
      };
      Type = "exec";
      MemoryDenyWriteExecute = false;
      StateDirectory = "shop-web";
      KillSignal = "SIGINT";
      ReadWritePaths = [ "/srv/web" ];
      ProtectHome = "tmpfs";
      BindReadOnlyPaths = [ "/home/media" ];
      watched = false;
      path = true;
      elsewhere = false;
    };
  }
  {
    name = "the stack begins with the machine";
    got = targets.shop.wantedBy;
    want = [ "multi-user.target" ];
  }
]
