# Where services take requests: sockets that systemd opens and a switch does not close, sockets of their own, and ports.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  stacks = lib.filterAttrs (_: stack: stack.enable) config.services.slipway.stacks;
  namesOf = import ./names.nix { inherit lib; };
  values = import ../../nix/stack/values.nix { inherit lib; };
  nginx = config.services.nginx;

  stackOptions =
    { name, config, ... }:
    let
      stack = config;
      names = namesOf name config;
      local = port: "127.0.0.1:${toString port}";
      own = unit: "unix:${names.ownFolder unit}/socket";
      serviceOptions =
        { name, config, ... }:
        let
          units = names.replicas name;
          inherit (config.listen) type port;
        in
        {
          options = {
            socketGroup = mkOption {
              type = types.str;
              default = if stack.proxy.served != { } then nginx.group else stack.group;
              defaultText = lib.literalMD "nginx' group, and the stack's without a proxy";
              example = "shop";
              description = "The group that may connect to the service's Unix sockets, besides the service's user.";
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
          config = {
            addresses =
              {
                none = [ ];
                socket = map (unit: "unix:${names.socket unit}") units;
                unix = map own units;
                # Without a port an assertion of the description fails.
                tcp = lib.optionals (port != null) (lib.imap0 (n: _: local (port + n)) units);
              }
              .${type};
            # The number of replicas moves none of these: a running proxy knows them from the generation before.
            standIn =
              if names.trials name == [ ] then
                null
              else
                {
                  unix = own (names.trial name);
                  tcp = local (port - 1);
                }
                .${type} or null;
          };
        };
    in
    {
      options.services = mkOption { type = types.attrsOf (types.submodule serviceOptions); };
    };

  perService =
    name: stack: key: service:
    let
      names = namesOf name stack;
      trials = names.trials key;
      units = names.replicas key ++ trials;

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
      ofReplica =
        unit:
        socket unit
        // {
          wantedBy = [
            "sockets.target"
            names.target
          ];
          unitConfig.X-StopOnRemoval = false;
        };
    in
    {
      sockets = lib.optionalAttrs (service.listen.type == "socket") (
        lib.genAttrs (names.replicas key) ofReplica // lib.genAttrs trials socket
      );
      # What a program makes in there gets the folder's group, so that nobody has to wait for a socket to set its owner.
      tmpfiles.settings = lib.optionalAttrs (service.listen.type == "unix") {
        "10-slipway-${name}-${key}" = lib.listToAttrs (
          map (
            unit:
            lib.nameValuePair (names.ownFolder unit) {
              d = {
                inherit (service) user;
                group = service.socketGroup;
                mode = "2710";
              };
            }
          ) units
        );
      };
    };
  # A program can put anything into the folder of its socket. With a link it would lead the proxy, which may connect to every
  # socket, to another service. So no link on this file system is followed, and what is there has a bound. It stays until the
  # next boot once it is mounted: processes of an earlier generation may still have their sockets there.
  ownFolders =
    name: stack:
    let
      names = namesOf name stack;
      tmpfiles = [
        "systemd-tmpfiles-setup.service"
        "systemd-tmpfiles-resetup.service"
      ];
    in
    lib.mkIf (lib.any (service: service.listen.type == "unix") (lib.attrValues stack.services)) {
      mounts = [
        {
          description = "${name}: sockets that its programs open";
          what = "tmpfs";
          where = names.ownFolders;
          type = "tmpfs";
          options = "nosymfollow,nosuid,nodev,noexec,mode=0755,size=1M,nr_inodes=1024";
          wantedBy = [ "local-fs.target" ] ++ tmpfiles;
          before = tmpfiles;
          unitConfig.X-StopOnRemoval = false;
        }
      ];
    };
  perStack =
    name: stack:
    [ (ownFolders name stack) ] ++ lib.mapAttrsToList (perService name stack) stack.services;

  contradictions =
    name: stack: key: service:
    let
      option = "services.slipway.stacks.${name}.services.${key}";
      inherit (service) health listen;
      atProgram = lib.elem listen.type [
        "tcp"
        "unix"
      ];
      several = service.replicas > 1 || service.standIn != null;
      lowest = listen.port - (if service.standIn == null then 0 else 1);
      reachable = lib.intersectLists [ "any" "localhost" "127.0.0.0/8" "127.0.0.1" ] (
        values.allowedAddresses stack service
      );
      ofProbe =
        what:
        let
          probe = health.${what};
          word = lib.head probe.command;
        in
        [
          {
            assertion = !(listen.type == "socket" && probe ? tcp);
            message = "${option}.health.${what}.tcp proves nothing at a socket that systemd opens, which always takes connections: set ${option}.health.${what}.http or command.";
          }
          {
            assertion = !(probe ? command && service.package == null && !lib.hasInfix "/" word);
            message = "${option}.health.${what}.command begins with a program of the package, and ${option}.package is not set: give the program's path.";
          }
        ];
    in
    [
      {
        assertion =
          !atProgram || service.standIn == null || service.type == "notify" || health.ready != null;
        message = "${option}.rolling is stand-in and ${option}.health.ready is null, so nobody knows when the stand-in can answer: set health.ready, or rolling = \"stop\".";
      }
      {
        assertion = !atProgram || listen.variable != null || !several;
        message = "${option}.listen.variable is null, so all its processes would take the same place: name the variable of the program, or set replicas = 1 and rolling = \"stop\".";
      }
      {
        assertion =
          listen.type != "tcp"
          || listen.port == null
          || lowest >= 1024
          || service.serviceConfig ? AmbientCapabilities;
        message = "${option}.listen.port is ${toString listen.port}, and its processes would begin at ${toString lowest}, which only root may open: take a port from 1025 up.";
      }
      {
        assertion = config.users.groups ? ${service.socketGroup};
        message = "${option}.socketGroup is ${service.socketGroup}, which is no group of this host, so its sockets could not be opened: correct it, or add users.groups.${service.socketGroup}.";
      }
      {
        assertion = listen.type != "tcp" || reachable != [ ];
        message = "${option}.listen.type is tcp and its allowedAddresses leave out localhost, so the proxy could not reach it: add \"localhost\", or take listen.type = \"unix\".";
      }
    ]
    ++ lib.concatMap ofProbe [
      "ready"
      "live"
    ];
in
{
  options.services.slipway.stacks = mkOption {
    type = types.attrsOf (types.submodule stackOptions);
  };
  config = {
    systemd = lib.mkMerge (lib.concatLists (lib.mapAttrsToList perStack stacks));
    assertions = lib.concatLists (
      lib.mapAttrsToList (
        name: stack: lib.concatLists (lib.mapAttrsToList (contradictions name stack) stack.services)
      ) stacks
    );
  };
}
