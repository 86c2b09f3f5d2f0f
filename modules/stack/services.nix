# The units of services: sockets that stay open, and replicas that a switch does not restart. roll.nix restarts them.
{
  config,
  lib,
  utils,
  ...
}:
let
  inherit (lib) mkOption types;
  stacks = lib.filterAttrs (_: stack: stack.enable) config.services.slipway.stacks;
  namesOf = import ./names.nix { inherit lib; };
  programOf = import ./program.nix { inherit lib utils; };
  nginx = config.services.nginx;

  stackOptions =
    { name, config, ... }:
    let
      stack = config;
      names = namesOf name config;
      local = port: "127.0.0.1:${toString port}";
      serviceOptions =
        { name, config, ... }:
        {
          options = {
            socketGroup = mkOption {
              type = types.str;
              default = if stack.proxy.enable then nginx.group else stack.group;
              defaultText = lib.literalMD "nginx' group, and the stack's without a proxy";
              example = "shop";
              description = "The group that may connect to the service's Unix sockets, besides the stack's user.";
            };
            addresses = mkOption {
              type = types.listOf types.str;
              internal = true;
              readOnly = true;
              description = "Where the replicas take requests, as nginx writes it; [ ] for a service that listens nowhere.";
            };
            standIn = mkOption {
              type = types.nullOr types.str;
              internal = true;
              readOnly = true;
              description = "Where the stand-in of a rolling restart takes requests. Null: it gets none.";
            };
          };
          config =
            let
              units = names.replicas name;
              own = unit: "unix:/run/${names.ownFolder unit}/socket";
              inherit (config.listen) type port;
            in
            {
              addresses =
                {
                  none = [ ];
                  socket = map (unit: "unix:${names.socket unit}") units;
                  unix = map own units;
                  tcp = lib.imap0 (n: _: local (port + n)) units;
                }
                .${type};
              standIn =
                if config.rolling != "stand-in" || config.replicas == 0 then
                  null
                else
                  {
                    unix = own (names.trial name);
                    tcp = local (port + config.replicas);
                  }
                  .${type} or null;
            };
        };
    in
    {
      options = {
        services = mkOption { type = types.attrsOf (types.submodule serviceOptions); };
        metrics.addresses = mkOption {
          type = types.attrsOf types.str;
          internal = true;
          readOnly = true;
          description = "Where each process serves its metrics, by unit.";
        };
      };
      config = {
        units = map (unit: "${unit}.service") names.all;
        metrics.addresses = lib.concatMapAttrs (
          service: values:
          lib.optionalAttrs (values.metrics.port != null) (
            lib.listToAttrs (
              lib.imap0 (n: unit: lib.nameValuePair "${unit}.service" (local (values.metrics.port + n))) (
                names.replicas service
              )
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
      tried = service.rolling == "stand-in" && service.replicas > 0;
      trial = names.trial key;
      portOf = lib.flip lib.pipe [
        (lib.splitString ":")
        lib.last
      ];

      # Where this process listens, by the variables that the program reads.
      listens =
        unit: address:
        lib.optionalAttrs (service.listen.type == "tcp") { HOST = "127.0.0.1"; }
        // lib.optionalAttrs (service.listen.variable != null && address != null && !onSocket) {
          ${service.listen.variable} =
            if service.listen.type == "tcp" then portOf address else lib.removePrefix "unix:" address;
        };
      # An empty port is none.
      measured =
        unit:
        lib.optionalAttrs (service.preset != null) { METRICS_HOST = "127.0.0.1"; }
        // lib.optionalAttrs (service.metrics.port != null && service.metrics.variable != null) {
          ${service.metrics.variable} = portOf (stack.metrics.addresses."${unit}.service" or "");
        };

      # Common to the replicas and the stand-in.
      process =
        unit: address: serviceConfig:
        programOf name stack key service {
          environment = measured unit // listens unit address;
          serviceConfig = {
            Type = service.type;
            TimeoutStartSec = service.startSeconds;
            TimeoutStopSec = service.stopSeconds;
          }
          // lib.optionalAttrs (service.type == "notify") { WatchdogSec = service.watchdogSeconds; }
          // lib.optionalAttrs (service.stopSignal != "SIGTERM") { KillSignal = service.stopSignal; }
          // lib.optionalAttrs (service.listen.type == "unix") {
            # Removed with its socket at each stop, so that none is in the next one's way.
            RuntimeDirectory = names.ownFolder unit;
            RuntimeDirectoryMode = "0711";
          }
          // serviceConfig;
        };
      # After a start by hand it must still have its socket.
      withSocket =
        unit:
        lib.optionalAttrs onSocket {
          requires = [ "${unit}.socket" ];
          after = [ "${unit}.socket" ];
        };

      replica =
        unit: address:
        lib.mkMerge [
          (process unit address {
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
            wants = stack.requires ++ map (job: "${job}.service") names.startJobs;
            after = map (job: "${job}.service") names.startJobs;
            # The roll unit does both, one replica after another.
            restartIfChanged = false;
            unitConfig.X-StopOnRemoval = false;
          }
          (withSocket unit)
        ];

      # One more process of the new generation; only the roll unit starts it. It has no metrics port.
      standIn = lib.mkMerge [
        (process trial service.standIn { Restart = "no"; })
        {
          description = "${name}: trial of the ${key} before its replicas are restarted";
          restartIfChanged = false;
        }
        (withSocket trial)
      ];

      socket = unit: {
        description = "${name}: socket of ${unit}";
        partOf = [ names.target ];
        socketConfig = {
          ListenStream = names.socket unit;
          SocketUser = service.user;
          SocketGroup = service.socketGroup;
          SocketMode = "0660";
          RemoveOnStop = true;
          # The socket stays however often its service fails: new connections wait.
          TriggerLimitIntervalSec = 0;
        };
      };
      replicas = lib.zipListsWith lib.nameValuePair (names.replicas key) (
        if service.addresses == [ ] then map (_: null) (names.replicas key) else service.addresses
      );
    in
    {
      services =
        lib.listToAttrs (map ({ name, value }: lib.nameValuePair name (replica name value)) replicas)
        // lib.optionalAttrs tried { ${trial} = standIn; };
      sockets = lib.optionalAttrs onSocket (
        lib.genAttrs (names.replicas key) (
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
        // lib.optionalAttrs tried { ${trial} = socket trial; }
      );
    };

  perStack =
    name: stack:
    lib.mapAttrsToList (perService name stack) stack.services
    ++ [
      {
        targets.${name} = {
          description = "${name}: ${lib.concatStringsSep " and " (lib.attrNames stack.services)}";
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
