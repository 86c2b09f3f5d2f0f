# The units of services: replicas that a switch does not restart, their stand-ins, and what asks replicas whether they
# still work. roll.nix restarts replicas.
{
  config,
  lib,
  pkgs,
  utils,
  ...
}:
let
  inherit (lib) mkOption types;
  stacks = lib.filterAttrs (_: stack: stack.enable) config.services.slipway.stacks;
  namesOf = import ./names.nix { inherit lib; };
  programOf = import ./program.nix { inherit lib utils; };
  health = import ./health.nix {
    inherit
      config
      lib
      pkgs
      utils
      ;
  };

  stackOptions =
    { name, config, ... }:
    let
      names = namesOf name config;
    in
    {
      options.metrics.addresses = mkOption {
        type = types.attrsOf types.str;
        internal = true;
        readOnly = true;
        description = "Where each process serves its metrics, by unit.";
      };
      config = {
        units = map (unit: "${unit}.service") names.all ++ names.schedules;
        metrics.addresses = lib.concatMapAttrs (
          service: values:
          lib.optionalAttrs (values.metrics.port != null) (
            lib.listToAttrs (
              lib.imap0 (
                n: unit: lib.nameValuePair "${unit}.service" "127.0.0.1:${toString (values.metrics.port + n)}"
              ) (names.replicas service)
            )
          )
        ) config.services;
      };
    };

  perService =
    name: stack: key: service:
    let
      names = namesOf name stack;
      onSocket = service.listen.type == "socket";
      onOwn = service.listen.type == "unix";
      trial = names.trial key;
      onPort = service.listen.type == "tcp";

      # Where this process listens and is measured, by the variables that the program reads. `n` counts the replicas from 0.
      # The stand-in is -1: its port is the one before them, and an empty port of metrics is none.
      places =
        unit: n:
        lib.optionalAttrs onPort { HOST = "127.0.0.1"; }
        // lib.optionalAttrs (service.listen.variable != null && service.addresses != [ ] && !onSocket) {
          ${service.listen.variable} =
            if onPort then toString (service.listen.port + n) else "${names.ownFolder unit}/socket";
        }
        // lib.optionalAttrs (service.preset != null) { METRICS_HOST = "127.0.0.1"; }
        // lib.optionalAttrs (service.metrics.port != null && service.metrics.variable != null) {
          ${service.metrics.variable} = lib.optionalString (n >= 0) (toString (service.metrics.port + n));
        };
      addressOf = n: if service.addresses == [ ] then null else lib.elemAt service.addresses n;

      # Common to the replicas and the stand-in.
      process =
        unit: n: address: serviceConfig:
        lib.mkMerge [
          (programOf name stack key service {
            environment = places unit n;
            ports =
              lib.optional (onPort && service.listen.port != null) (service.listen.port + n)
              ++ lib.optional (service.metrics.port != null && n >= 0) (service.metrics.port + n);
            writable = lib.optional onOwn (names.ownFolder unit);
            serviceConfig = {
              Type = service.type;
              TimeoutStartSec = service.startSeconds;
              TimeoutStopSec = service.stopSeconds;
            }
            // lib.optionalAttrs (service.type == "notify") { WatchdogSec = service.watchdogSeconds; }
            // lib.optionalAttrs (service.stopSignal != "SIGTERM") { KillSignal = service.stopSignal; }
            # For the group of the socket's folder.
            // lib.optionalAttrs onOwn { UMask = "0007"; }
            # Also for the command below.
            // lib.optionalAttrs (service.type == "notify") { NotifyAccess = "exec"; }
            // serviceConfig;
          })
          {
            # Without it, its socket would be in a folder where links are followed.
            unitConfig.RequiresMountsFor = lib.mkIf onOwn [ names.ownFolders ];
            # Beside those of the stack's own serviceConfig, which would otherwise replace them.
            serviceConfig = {
              # Left behind by a crash, it would be in the way.
              ExecStartPre = lib.mkIf onOwn (
                [ "${pkgs.coreutils}/bin/rm -f ${names.ownFolder unit}/socket" ] ++ also "ExecStartPre"
              );
              # So a start, and with it each step of the roll, lasts until the process can answer.
              ExecStartPost = lib.mkIf (service.type == "exec" && service.health.ready != null) (
                [ (health.wait service address) ] ++ also "ExecStartPost"
              );
              # A program could prolong its stop without end, with EXTEND_TIMEOUT_USEC. From here on nobody listens to it. As root,
              # since the program could stop a process of its own user.
              ExecStop = lib.mkIf (service.type == "notify") (
                [ "-+${config.systemd.package}/bin/systemd-notify NOTIFYACCESS=none" ] ++ also "ExecStop"
              );
            };
          }
        ];
      also = setting: lib.toList (service.serviceConfig.${setting} or [ ]);
      # After a start by hand it must still have its socket.
      withSocket =
        unit:
        lib.optionalAttrs onSocket {
          requires = [ "${unit}.socket" ];
          after = [ "${unit}.socket" ];
        };

      replica =
        unit: n:
        let
          address = addressOf n;
        in
        lib.mkMerge [
          (process unit n address {
            Restart = "always";
            # 0.1 s after the first failure, 15 s after the tenth. A longer pause would do harm: systemd counts all
            # failures since the last start by hand or by a switch. A request at the socket waits 45 s at the proxy.
            RestartSec = "100ms";
            RestartSteps = 10;
            RestartMaxDelaySec = 15;
          })
          {
            description = "${name}: ${unit}";
            wantedBy = [ names.target ];
            wants =
              stack.requires
              ++ map (job: "${job}.service") names.startJobs
              ++ lib.optional watched "${names.live unit}.service";
            after = map (job: "${job}.service") names.startJobs;
            # The roll unit does both, one replica after another.
            restartIfChanged = false;
            unitConfig.X-StopOnRemoval = false;
            restartTriggers = lib.optional watched (health.watch service address);
          }
          (withSocket unit)
        ];

      # One more process of the new generation; only the roll unit starts it. It has no metrics port.
      standIn = lib.mkMerge [
        (process trial (-1) service.standIn { Restart = "no"; })
        {
          serviceConfig.ExecStopPost = lib.mkIf onOwn (
            also "ExecStopPost" ++ [ "${pkgs.coreutils}/bin/rm -f ${names.ownFolder trial}/socket" ]
          );
          description = "${name}: trial of the ${key} before its replicas are restarted";
          restartIfChanged = false;
        }
        (withSocket trial)
      ];

      watched = service.health.live != null && service.watchdogSeconds == 0;
      # Asks with the rights of the replica. Only what follows too many failures is root's: to restart it.
      watcher =
        unit: n:
        let
          question = health.watch service (addressOf n);
        in
        lib.mkMerge [
          (programOf name stack key (
            service
            // {
              stateDirectory = false;
              serviceConfig = lib.filterAttrs (setting: _: !lib.hasPrefix "Exec" setting) service.serviceConfig;
            }
          ) { environment = places unit n; })
          {
            description = "${name}: asks ${unit} whether it still works";
            # It begins and ends with the replica. When its question changes, the replica does too (restartTriggers).
            # BindsTo would start the replica as well: at once, whatever pause it makes after a failure.
            requisite = [ "${unit}.service" ];
            partOf = [ "${unit}.service" ];
            after = [ "${unit}.service" ];
            restartIfChanged = false;
            unitConfig.JoinsNamespaceOf = "${unit}.service";
            serviceConfig = {
              Type = "exec";
              ExecStart = question;
              ExecStopPost = "+${health.restart unit}";
              Restart = "on-abnormal";
            };
          }
        ];

      replicas = lib.listToAttrs (lib.imap0 (n: unit: lib.nameValuePair unit n) (names.replicas key));
    in
    {
      services =
        lib.mapAttrs replica replicas
        // lib.optionalAttrs watched (
          lib.mapAttrs' (unit: n: lib.nameValuePair (names.live unit) (watcher unit n)) replicas
        )
        // lib.genAttrs (names.trials key) (_: standIn);
    };

  perStack =
    name: stack:
    lib.mapAttrsToList (perService name stack) stack.services
    ++ [
      {
        targets.${name} = {
          description = lib.concatStringsSep ": " (
            [ name ]
            ++ lib.optional (stack.services != { }) (
              lib.concatStringsSep " and " (lib.attrNames stack.services)
            )
          );
          wantedBy = [ "multi-user.target" ];
        };
      }
    ];
in
{
  options.services.slipway.stacks = mkOption {
    type = types.attrsOf (types.submodule stackOptions);
  };
  config.systemd = lib.mkMerge (lib.concatLists (lib.mapAttrsToList perStack stacks));
}
