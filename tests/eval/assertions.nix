# Every contradiction in a stack is refused, by a message that names the option and the cure.
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
  at = "services.slipway.stacks.shop";
  # Whose backups have the server's archive, which several stacks share.
  archived.services.slipway.backup.archive.stack = "shop";
in
[
  {
    name = "a stack without contradictions";
    got = refused [ (stack { }) ];
    want = [ ];
  }
  (says "a name that is no part of a unit's"
    [
      "services.slipway.stacks.Shop_1"
      "lower-case"
    ]
    [
      (stack { })
      archived
      (
        { config, ... }:
        {
          services.slipway.stacks.Shop_1 = {
            services = lib.mapAttrs (_: one: {
              inherit (one) preset package;
            }) config.services.slipway.stacks.shop.services;
            user = "other";
            group = "other";
            metrics.firstPort = 9400;
          };
        }
      )
    ]
  )
  (says "a name with a hyphen at its end"
    [
      "services.slipway.stacks.web-"
      "no `-` last"
    ]
    [
      {
        services.slipway.stacks.web- = {
          services.web.package = standIn "web";
          user = "web";
          group = "web";
        };
      }
    ]
  )
  (says "a service and a job without a program"
    [ "${at}.services.web.package is not set" "name the package" ]
    [ (stack { services.web.listen.port = 3000; }) ]
  )
  (says "a job without a program"
    [ "${at}.jobs.report.package is not set" ]
    [ (stack { jobs.report.schedule = "daily"; }) ]
  )
  (says "a group that no file can have"
    [
      ''${at}.group is "a b"''
      "no name of a group"
    ]
    [ (stack { group = "a b"; }) ]
  )
  (says "an account that no file can have"
    [
      ''${at}.services.worker.user is "9lives"''
      "no name of a user"
    ]
    [ (stack { services.worker.user = "9lives"; }) ]
  )
  (says "a group for sockets that the host has not"
    [
      "${at}.services.api.socketGroup is ngnix"
      "add users.groups.ngnix"
    ]
    [ (stack { services.api.socketGroup = "ngnix"; }) ]
  )
  (says "an argument with a variable that nobody sets"
    [
      "${at}.services.api.arguments names $(ADRESS)"
      "services.api.environment"
      "$$(…)"
    ]
    [
      (stack {
        services.api = {
          environment.KNOWN = 1;
          arguments = [
            "serve"
            "$(KNOWN) $(ADRESS) $$(TEXT)"
          ];
        };
      })
    ]
  )
  (says "metrics ports that overlap"
    [
      "services.slipway.stacks.post.services.api.metrics.port (9200 to 9263)"
      "services.slipway.stacks.shop.services.api.metrics.port"
      "9328"
    ]
    [
      (stack { })
      archived
      (
        { config, ... }:
        {
          services.slipway.stacks.post = {
            services.api = {
              preset = "api";
              package = config.services.slipway.packages.slipway-api;
            };
          };
        }
      )
    ]
  )
  (says "metrics of a stack over the backups'"
    [
      "${at}.services.api.metrics.port (9100 to 9163)"
      "services.slipway.backup.exporter.port (9103)"
      "9228"
    ]
    [ (stack { metrics.firstPort = 9100; }) ]
  )
  (says "metrics of a stack over the database's port"
    [
      "${at}.services.api.metrics.port (5400 to 5463)"
      "services.postgresql.settings.port (5432)"
    ]
    [ (stack { metrics.firstPort = 5400; }) ]
  )
  (says "less time to stop than to drain"
    [
      "${at}.services.api.stopSeconds (20)"
      "API_SHUTDOWN_GRACE_SECONDS (30)"
    ]
    [ (stack { services.api.stopSeconds = 20; }) ]
  )
  (says "a secret in the environment as well"
    [
      "${at}.services.worker.environment"
      "SECRET_KEY"
      "remove it"
    ]
    [
      (stack {
        services.worker.secrets.SECRET_KEY = "/run/secrets/key";
        services.worker.environment.SECRET_KEY = "0011";
      })
    ]
  )
  (says "a secret that comes twice"
    [
      "${at}.services.worker.environment"
      "SECRET_KEY_FILE"
    ]
    [
      (stack {
        secrets.SECRET_KEY = "/run/secrets/key";
        services.worker.environment.SECRET_KEY_FILE = "/run/secrets/key";
      })
    ]
  )
  (says "a service with a name that no unit can have"
    [ "${at}.services.web_: the name becomes part of units" ]
    [
      (stack { services.web_.package = standIn "web"; })
    ]
  )
  (says "a port that is not given"
    [ "${at}.services.web.listen.type is tcp and services.web.listen.port is not set" ]
    [
      (stack {
        services.web = {
          package = standIn "web";
          listen.type = "tcp";
          rolling = "stop";
        };
      })
    ]
  )
  (says "a question over the network to a service that listens nowhere"
    [ "${at}.services.web.health asks over the network" ]
    [
      (stack {
        services.web = {
          package = standIn "web";
          health.live.http = "/healthz";
        };
      })
    ]
  )
  (says "a watchdog over a program that says nothing"
    [ "${at}.services.web.watchdogSeconds is set and services.web.type is not notify" ]
    [
      (stack {
        services.web = {
          package = standIn "web";
          watchdogSeconds = 30;
        };
      })
    ]
  )
  (says "one port for all replicas of a service"
    [
      "${at}.services.web.environment or environment sets PORT"
      "another variable in listen.variable"
    ]
    [
      (stack {
        environment.PORT = 3000;
        services.web = {
          package = standIn "web";
          listen.port = 3000;
          health.ready.tcp = true;
        };
      })
    ]
  )
  (says "one port of metrics for all replicas"
    [
      "${at}.services.worker.environment or environment sets METRICS_PORT"
      "another variable in metrics.variable"
    ]
    [ (stack { services.worker.environment.METRICS_PORT = 9999; }) ]
  )
  (says "a threshold above the limit"
    [ "${at}.services.worker.limits.memoryHighMiB" ]
    [
      (stack { services.worker.limits.memoryHighMiB = 4096; })
    ]
  )
]
++
  map
    (
      { what, options }:
      {
        name = "refused by its type: ${what}";
        got =
          (builtins.tryEval (
            let
              inherit ((host [ (stack options) ]).services.slipway.stacks.shop.services) worker;
            in
            builtins.deepSeq [
              worker.health
              worker.metrics
              worker.stopSignal
            ] true
          )).success;
        want = false;
      }
    )
    [
      {
        what = "a signal that is none";
        options.services.worker.stopSignal = "SIGFOO";
      }
      {
        what = "metrics at a path that does not begin with /";
        options.services.worker.metrics.path = "metrics";
      }
      {
        what = "health at a path that does not begin with /";
        options.services.worker.health.live = "alive";
      }
    ]
++ [
  {
    name = "a secret in the store is no path of a secret";
    got =
      (builtins.tryEval (
        let
          config = host [ (stack { secrets.SECRET_KEY = "${./default.nix}"; }) ];
        in
        builtins.deepSeq config.systemd.services.shop-api-1.serviceConfig.LoadCredential true
      )).success;
    want = false;
  }
]
