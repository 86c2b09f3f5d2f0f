# The services of a stack: programs that run all the time.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  contract = import ../contract.nix;
  inherit (import ./texts.nix { inherit lib; }) described urlPath;

  probe =
    more:
    mkOption (
      {
        # A text is a path.
        type = types.nullOr (
          described "path such as \"/healthz\", or one of { http = …; }, { tcp = true; } and { command = …; }"
            (
              types.coercedTo types.str (http: { inherit http; }) (
                types.attrTag {
                  http = mkOption {
                    type = urlPath;
                    example = "/healthz";
                    description = "A path that answers with 200 to 399 at what the service listens on.";
                  };
                  tcp = mkOption {
                    type = types.enum [ true ];
                    example = true;
                    description = "A connection to what the service listens on is enough.";
                  };
                  command = mkOption {
                    type = types.nonEmptyListOf types.str;
                    example = [
                      "shop"
                      "healthcheck"
                    ];
                    description = "A program that ends with 0. A name without `/` is one of the service's own package.";
                  };
                }
              )
            )
        );
        default = null;
        example = {
          http = "/healthz";
        };
      }
      // more
    );

  service =
    { config, ... }:
    {
      imports = [ ./program.nix ];
      options = {
        preset = mkOption {
          type = types.nullOr (
            types.enum [
              "api"
              "worker"
            ]
          );
          default = null;
          example = "api";
          description = ''
            What the program keeps of Slipway's contract (docs/settings.md). `api`: it takes a socket from systemd, says when it
            is ready, and answers the health paths. `worker`: it says when it is ready and serves metrics. Null: nothing.
          '';
        };
        type = mkOption {
          type = types.enum [
            "notify"
            "exec"
          ];
          default = "exec";
          example = "notify";
          description = ''
            How the service is known to be up. `notify`: the program says so (sd_notify). `exec`: it has begun, and
            `health.ready` passes.
          '';
        };
        replicas = mkOption {
          type = types.ints.between 0 contract.replicas.most;
          default = 1;
          example = 2;
          description = "Processes of the service: on each host, or in the whole cluster.";
        };
        listen = {
          type = mkOption {
            type = types.enum [
              "none"
              "socket"
              "unix"
              "tcp"
            ];
            default = if config.listen.port == null then "none" else "tcp";
            defaultText = lib.literalMD "`tcp` where `listen.port` is set, else `none`";
            example = "socket";
            description = ''
              Where the service takes requests. `socket`: a Unix socket that systemd opens and hands over, so that requests wait
              while a replica restarts. `unix`: the program opens the Unix socket that `listen.variable` names. `tcp`: a port.
            '';
          };
          port = mkOption {
            type = types.nullOr types.port;
            default = null;
            example = 3000;
            description = ''
              The first replica's port on 127.0.0.1 for `tcp`; the others follow. The port before it belongs to the stand-in of
              a rolling restart. In containers, every replica's port.
            '';
          };
          variable = mkOption {
            type = types.nullOr types.str;
            default =
              {
                tcp = "PORT";
                unix = "SOCKET";
              }
              .${config.listen.type} or null;
            defaultText = lib.literalMD "`PORT` for `tcp`, `SOCKET` for `unix`";
            example = "ROCKET_PORT";
            description = ''
              The environment variable that tells a replica its port, or the path of its socket. Null: none does. For `tcp` the
              variable HOST says the address: 127.0.0.1, and 0.0.0.0 in containers. A program that takes them as arguments
              gets `$(HOST)` and `$(PORT)` there.
            '';
          };
        };
        health = {
          ready = probe {
            default =
              if
                config.type == "exec"
                && lib.elem config.listen.type [
                  "unix"
                  "tcp"
                ]
              then
                { tcp = true; }
              else
                null;
            defaultText = lib.literalMD "`{ tcp = true; }` for `exec` at a port or a socket of its own";
            description = ''
              Whether a replica can take requests. A rolling restart goes on when it passes; Kubernetes sends requests only
              then. NixOS asks services of the type `exec`.
            '';
          };
          live = probe {
            description = ''
              Whether a replica still works. One that fails `health.retries` times in a row is restarted. NixOS does not ask a
              service with `watchdogSeconds`, which says it by itself.
            '';
          };
          intervalSeconds = mkOption {
            type = types.ints.positive;
            default = contract.health.intervalSeconds;
            example = 10;
            description = "Seconds from one check of `health.live` to the next.";
          };
          timeoutSeconds = mkOption {
            type = types.ints.positive;
            default = contract.health.timeoutSeconds;
            example = 2;
            description = "Seconds until a check without an answer counts as failed.";
          };
          retries = mkOption {
            type = types.ints.positive;
            default = contract.health.retries;
            example = 5;
            description = "Failures in a row after which a replica is restarted.";
          };
        };
        rolling = mkOption {
          type = types.enum [
            "stand-in"
            "stop"
          ];
          default =
            if config.stateDirectory || config.listen.type == "none" && config.preset == null then
              "stop"
            else
              "stand-in";
          defaultText = lib.literalMD "`stand-in`, but `stop` for a service that keeps files or takes no requests";
          example = "stop";
          description = ''
            What happens when the service changes. `stand-in`: one more process of the new generation starts first; no replica
            is touched unless it becomes ready. For a port or own socket it answers while a replica restarts. `stop`: replicas
            restart one after another, and with a single one requests fail for that moment.
          '';
        };
        startSeconds = mkOption {
          type = types.ints.positive;
          default = contract.health.startSeconds;
          example = 120;
          description = "Seconds within which a started replica must be ready (TimeoutStartSec); otherwise it is ended.";
        };
        stopSignal = mkOption {
          # Those that health.sh passes on.
          type = types.enum [
            "SIGHUP"
            "SIGINT"
            "SIGQUIT"
            "SIGTERM"
            "SIGUSR1"
            "SIGUSR2"
            "SIGWINCH"
          ];
          default = contract.stopSignal;
          example = "SIGINT";
          description = "The signal that asks a replica to end (KillSignal).";
        };
        stopSeconds = mkOption {
          type = types.ints.positive;
          default = contract.times.killSeconds;
          example = 90;
          description = ''
            Seconds between that signal and SIGKILL (TimeoutStopSec). Must be longer than the program takes to finish what is
            under way.
          '';
        };
        watchdogSeconds = mkOption {
          type = types.ints.unsigned;
          default = 0;
          example = 30;
          description = "Seconds without a sign of life (WATCHDOG=1) after which a replica is ended and started again. 0: not watched.";
        };
        metrics = {
          port = mkOption {
            type = types.nullOr types.port;
            default = null;
            example = 9400;
            description = "The first replica's port of Prometheus metrics on 127.0.0.1; the others follow. Null: it has none of its own.";
          };
          path = mkOption {
            type = urlPath;
            default = contract.paths.metrics;
            example = "/internal/metrics";
            description = "The path of the metrics.";
          };
          variable = mkOption {
            type = types.nullOr types.str;
            default = "METRICS_PORT";
            example = "PROMETHEUS_PORT";
            description = "The environment variable that tells a replica its port of metrics. Null: none does.";
          };
        };
      };
    };
in
{
  options.services = mkOption {
    type = types.attrsOf (types.submodule service);
    default = { };
    example = lib.literalExpression ''
      {
        web = {
          package = packages.shop;
          listen.port = 3000;
          health.ready.http = "/healthz";
        };
      }
    '';
    description = "The services of the stack by name: programs that run all the time.";
  };

  config.assertions =
    let
      contradictions =
        name: service:
        let
          option = "services.${name}";
          listens = service.listen.type != "none";
          asked = lib.filter (probe: probe != null) [
            service.health.ready
            service.health.live
          ];
        in
        [
          {
            assertion = service.listen.type != "tcp" || service.listen.port != null;
            message = "${option}.listen.type is tcp and ${option}.listen.port is not set: give the port.";
          }
          {
            assertion = listens || lib.all (probe: probe ? command) asked;
            message = "${option}.health asks over the network, and the service listens nowhere: set ${option}.listen, or give a command.";
          }
          {
            assertion = !(service.watchdogSeconds > 0 && service.type != "notify");
            message = "${option}.watchdogSeconds is set and ${option}.type is not notify, so no sign of life would come: leave it 0.";
          }
        ];
    in
    lib.concatLists (lib.mapAttrsToList contradictions config.services);
}
