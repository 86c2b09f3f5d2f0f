# The units of api and worker: sockets that stay open, and replicas that a switch does not restart. roll.nix
# restarts them.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  stacks = lib.filterAttrs (_: stack: stack.enable) config.services.slipway.stacks;
  hardening = import ../../nix/lib/hardening.nix;
  namesOf = import ./names.nix { inherit lib; };

  # Workers' metrics ports begin this much after the api's: the most replicas that a stack may have.
  workerOffset = 64;

  stackOptions =
    { name, config, ... }:
    let
      names = namesOf name config;
    in
    {
      options = {
        api = mkOption {
          type = types.submodule {
            options = {
              sockets = mkOption {
                type = types.listOf types.path;
                internal = true;
                readOnly = true;
                description = "The api's sockets, one a replica.";
              };
              socketGroup = mkOption {
                type = types.str;
                default = config.group;
                defaultText = lib.literalMD "the stack's group";
                example = "nginx";
                description = "The group that may connect to the api's sockets, besides the stack's user.";
              };
            };
          };
        };
        metrics.addresses = mkOption {
          type = types.attrsOf types.str;
          internal = true;
          readOnly = true;
          description = "Where each process serves its metrics, by unit.";
        };
      };
      config = {
        environment.APP_ENV = lib.mkDefault "production";
        api.sockets = map names.socket names.api;
        units = map (unit: "${unit}.service") (names.api ++ names.worker);
        metrics.addresses =
          let
            from =
              first: lib.imap0 (n: unit: lib.nameValuePair "${unit}.service" "127.0.0.1:${toString (first + n)}");
            inherit (config.metrics) firstPort;
          in
          lib.listToAttrs (from firstPort names.api ++ from (firstPort + workerOffset) names.worker);
      };
    };

  perStack =
    name: stack:
    let
      names = namesOf name stack;

      # Common to the replicas and the trial instance of a role.
      process =
        role:
        let
          program = stack.${role};
          inherit (program) limits;
          high = if limits.memoryHighMiB != null then limits.memoryHighMiB else limits.memoryMiB * 9 / 10;
        in
        {
          after = [ "network.target" ] ++ stack.requires;
          partOf = [ names.target ];
          environment = {
            METRICS_HOST = "127.0.0.1";
          }
          // stack.environment
          // program.environment;
          # Traffic on its socket always starts it again; no number of failures keeps it dead.
          unitConfig.StartLimitIntervalSec = 0;
          serviceConfig =
            hardening {
              # Metrics listen on 127.0.0.1.
              addresses = stack.allowedAddresses;
              # The metric process_start_time_seconds needs /proc/stat.
              kernelFacts = true;
              # The api reads its limit on descriptors with a call of @resources.
              systemCalls = [ "prlimit64" ];
            }
            // {
              Type = "notify";
              ExecStart = lib.escapeShellArgs program.command;
              User = stack.user;
              Group = stack.group;
              LoadCredential = lib.mapAttrsToList (secret: path: "${secret}:${path}") stack.secrets;
              TimeoutStartSec = program.startSeconds;
              TimeoutStopSec = program.stopSeconds;
              WatchdogSec = program.watchdogSeconds;
              CPUQuota = "${toString (builtins.floor (limits.cpus * 100))}%";
              MemoryMax = "${toString limits.memoryMiB}M";
              MemoryHigh = "${toString high}M";
              TasksMax = limits.tasks;
              LimitNOFILE = limits.openFiles;
            };
        };

      replica =
        role: unit:
        lib.mkMerge [
          (process role)
          {
            description = "${name}: ${unit}";
            wantedBy = [ names.target ];
            wants = stack.requires ++ lib.optional stack.migrations.enable "${names.migrate}.service";
            after = lib.optional stack.migrations.enable "${names.migrate}.service";
            # The roll unit does both, one replica after another.
            restartIfChanged = false;
            unitConfig.X-StopOnRemoval = false;
            environment.METRICS_PORT = lib.last (lib.splitString ":" stack.metrics.addresses."${unit}.service");
            serviceConfig = {
              Restart = "always";
              # 0.1 s after the first failure, 15 s after the tenth. A longer pause would do harm: systemd counts all
              # failures since the last start by hand or by a switch. A request at the socket waits 45 s at the proxy.
              RestartSec = "100ms";
              RestartSteps = 10;
              RestartMaxDelaySec = 15;
            };
          }
        ];

      apiReplica =
        unit:
        lib.mkMerge [
          (replica "api" unit)
          {
            # After a start by hand it must still have its socket.
            requires = [ "${unit}.socket" ];
            after = [ "${unit}.socket" ];
          }
        ];

      # One more process of the new generation; only the roll unit starts it. It has no metrics port.
      trial =
        role:
        lib.mkMerge [
          (process role)
          {
            description = "${name}: trial of the ${role} before its replicas are restarted";
            restartIfChanged = false;
            environment.METRICS_PORT = "";
            serviceConfig.Restart = "no";
          }
        ];

      socket = unit: {
        description = "${name}: socket of ${unit}";
        partOf = [ names.target ];
        socketConfig = {
          ListenStream = names.socket unit;
          SocketUser = stack.user;
          SocketGroup = stack.api.socketGroup;
          SocketMode = "0660";
          RemoveOnStop = true;
          # The socket stays however often its service fails: new connections wait.
          TriggerLimitIntervalSec = 0;
        };
      };
    in
    {
      sockets =
        lib.genAttrs names.api (
          unit:
          socket unit
          // {
            wantedBy = [
              "sockets.target"
              names.target
            ];
            unitConfig.X-StopOnRemoval = false;
          }
        )
        // lib.optionalAttrs (stack.api.trial && stack.api.replicas > 0) {
          ${names.trial "api"} = socket (names.trial "api");
        };
      services =
        lib.genAttrs names.api apiReplica
        // lib.genAttrs names.worker (replica "worker")
        // lib.optionalAttrs (stack.api.trial && stack.api.replicas > 0) {
          ${names.trial "api"} = lib.mkMerge [
            (trial "api")
            {
              requires = [ "${names.trial "api"}.socket" ];
              after = [ "${names.trial "api"}.socket" ];
            }
          ];
        }
        // lib.optionalAttrs (stack.worker.trial && stack.worker.replicas > 0) {
          ${names.trial "worker"} = trial "worker";
        };
      targets.${name} = {
        description = "${name}: api and worker";
        wantedBy = [ "multi-user.target" ];
      };
    };
in
{
  options.services.slipway.stacks = mkOption {
    type = types.attrsOf (types.submodule stackOptions);
  };
  config.systemd = lib.mkMerge (lib.mapAttrsToList perStack stacks);
}
