# The stack's own Redis: on a socket, with a password, and it may drop any data. Nothing in it is needed
# (docs/architecture.md).
{
  config,
  lib,
  options,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  stacks = lib.filterAttrs (
    _: stack: stack.enable && stack.cache.enable
  ) config.services.slipway.stacks;

  unit = name: "redis-${name}";
  made = name: "/run/slipway-cache/${name}/password";

  cacheOptions =
    { name, config, ... }:
    let
      inherit (config) cache;
    in
    {
      options.cache = {
        disabledCommands = mkOption {
          type = types.listOf types.str;
          default = import ../../nix/cluster/redis-denied.nix;
          example = [ "FLUSHALL" ];
          description = ''
            Commands that do not exist in this instance: those that would change or end it, copy it elsewhere, or stop it for
            long. systemd stops it with a signal.
          '';
        };
      };
      config = lib.mkIf cache.enable {
        cache = {
          address = "/run/${unit name}/redis.sock";
          passwordFile = lib.mkDefault (made name);
        };
        requires = [
          "${unit name}.service"
        ]
        ++ lib.optional (cache.passwordFile == made name) "${unit name}-password.service";
      };
    };

  server = _name: stack: {
    enable = true;
    # The socket alone; cache-network.nix adds a listener with TLS.
    port = 0;
    unixSocket = stack.cache.address;
    unixSocketPerm = 660;
    save = [ ];
    appendOnly = false;
    # The journal has its standard output.
    syslog = false;
    logfile = "\"\"";
    # One of several has users in its place, since Sentinel needs what others must not have.
    requirePassFile = if stack.cache.replicated then null else stack.cache.passwordFile;
    settings = {
      maxmemory = "${toString stack.cache.maxMemoryMiB}mb";
      maxmemory-policy = stack.cache.policy;
    }
    // lib.optionalAttrs (!stack.cache.replicated) {
      rename-command = map (command: "${command} \"\"") stack.cache.disabledCommands;
    };
  };

  # A server of the host's own: one that another file switches on. Settings of a stack's Redis alone are none.
  theirs =
    let
      switches = value: lib.any (one: one ? enable) (value.contents or [ (value.content or value) ]);
      others = lib.filter (
        definition: definition.file != toString ./cache.nix
      ) options.services.redis.servers.definitionsWithLocations;
    in
    lib.filter (name: lib.any (definition: switches (definition.value.${name} or { })) others) (
      lib.attrNames stacks
    );

  # The server reads the raw line of the file: a blank or a quote would end the password.
  usable = pkgs.writeShellScript "slipway-cache-password" ''
    set -u
    stack=$1 file=$2 option="services.slipway.stacks.$1.cache.passwordFile"
    refuse() { echo "$option: $file $*" >&2; exit 1; }
    [ -e "$file" ] || refuse "does not exist; put the password there (one word on one line), or leave the option out"
    [ "$(wc -l < "$file")" -le 1 ] || refuse "has more than one line; put one word on one line there"
    LC_ALL=C grep -Eqx '[!-~]{16,}' "$file" || refuse "is not one word of 16 or more printable characters; make one with: openssl rand -hex 32"
    LC_ALL=C grep -q "[\"'#\\\\]" "$file" && refuse "has a quote, # or backslash, which Redis would misread; make one with: openssl rand -hex 32"
    exit 0
  '';
in
{
  options.services.slipway.stacks = mkOption {
    type = types.attrsOf (types.submodule cacheOptions);
  };

  config = lib.mkIf (stacks != { }) {
    assertions = map (name: {
      assertion = false;
      message = "services.redis.servers.${name} is a server of this host, and services.slipway.stacks.${name}.cache.enable makes one of that name: rename the former, or set the latter to false.";
    }) theirs;
    services.redis.servers = lib.mapAttrs server stacks;
    # Redis asks for it, and without it a fork for a replica's copy can fail.
    services.redis.vmOverCommit = lib.mkDefault true;

    # Members of the group may connect, but still need the password.
    users.users = lib.mkMerge (
      lib.mapAttrsToList (
        name: stack:
        lib.genAttrs
          ([ stack.user ] ++ map (one: one.user) (lib.attrValues stack.services ++ lib.attrValues stack.jobs))
          (_: {
            extraGroups = [ (unit name) ];
          })
      ) stacks
    );

    systemd.services = lib.mkMerge (
      lib.mapAttrsToList (
        name: stack:
        {
          ${unit name} = {
            after = lib.optional (stack.cache.passwordFile == made name) "${unit name}-password.service";
            requires = lib.optional (stack.cache.passwordFile == made name) "${unit name}-password.service";
            path = [
              pkgs.coreutils
              pkgs.gnugrep
            ];
            unitConfig.StartLimitIntervalSec = 0;
            serviceConfig = {
              ExecStartPre = lib.mkBefore [ "+${usable} ${name} ${stack.cache.passwordFile}" ];
              Restart = lib.mkDefault "always";
              RestartSec = lib.mkDefault 1;
              RestartSteps = lib.mkDefault 5;
              RestartMaxDelaySec = lib.mkDefault 30;
              # In addition to nixpkgs' unit. Only this machine's addresses, unless cache-network.nix adds some.
              IPAddressDeny = lib.mkDefault "any";
              ProtectProc = lib.mkDefault "invisible";
              ProcSubset = lib.mkDefault "pid";
              RemoveIPC = lib.mkDefault true;
              DevicePolicy = lib.mkDefault "closed";
              KeyringMode = lib.mkDefault "private";
              # A dump would hold the password.
              LimitCORE = lib.mkDefault 0;
              # The limit of keys, and as much again for clients' buffers and fragmentation.
              MemoryMax = lib.mkDefault "${toString (2 * stack.cache.maxMemoryMiB + 64)}M";
            };
          };
        }
        // lib.optionalAttrs (stack.cache.passwordFile == made name) {
          "${unit name}-password" = {
            description = "${name}: password of its Redis";
            path = [
              pkgs.coreutils
              pkgs.openssl
            ];
            # Neither running end would learn of a new password.
            restartIfChanged = false;
            serviceConfig = import ../../nix/lib/hardening.nix { capabilities = [ ]; } // {
              Type = "oneshot";
              RemainAfterExit = true;
              RuntimeDirectory = "slipway-cache/${name}";
              RuntimeDirectoryMode = "0700";
              RuntimeDirectoryPreserve = true;
            };
            script = ''
              [ -s ${made name} ] || { openssl rand -hex 32 > ${made name}.new && mv ${made name}.new ${made name}; }
            '';
          };
        }
      ) stacks
    );
  };
}
