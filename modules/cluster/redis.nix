# Redis of the stacks on the members: a primary and replicas for each stack, and one Sentinel a member that agrees with the
# others who the primaries are. nix/cluster/redis.nix has their configurations.
{
  config,
  lib,
  options,
  pkgs,
  ...
}:
let
  cluster = import ./lib.nix { inherit config lib; };
  inherit (cluster) cfg;
  redis = import ../../nix/cluster/redis.nix;
  hardening = import ../../nix/lib/hardening.nix;
  shellApplication = import ../../nix/lib/shell-application.nix { inherit pkgs; };
  package = config.services.redis.package;

  stacks = cluster.redis;
  serving = cluster.member && stacks != { };
  account = cluster.accounts.sentinel;
  unitOf = name: "redis-${name}";

  members = lib.mapAttrs (_: member: {
    inherit (member) address;
    inherit (cfg.redis) sentinelPort;
  }) cfg.members;
  member = members.${cluster.name};
  groups = lib.mapAttrs (name: stack: {
    inherit name;
    inherit (stack.cache.network) port;
    inherit (stack.cache) maxMemoryMiB policy;
    denied = stack.cache.disabledCommands;
  }) stacks;
  allGroups = lib.attrValues groups;

  # systemd gives each process copies that it can read.
  credential = unit: name: "/run/credentials/${unit}.service/${name}";
  shared = [ "cluster:${toString cfg.redis.passwordFile}" ];
  # The paths stay the same, so another certificate restarts no Redis.
  certificateUnit = "slipway-cluster-certificate.service";

  prepare = shellApplication {
    name = "slipway-redis-prepare";
    runtimeInputs = [
      pkgs.coreutils
      pkgs.gnused
      package
    ];
    text = builtins.readFile ../../nix/cluster/redis-prepare.sh;
  };
  prepared = arguments: lib.escapeShellArgs ([ (lib.getExe prepare) ] ++ arguments);
  # At each start a new password for the one command by which Redis takes another certificate. Redis' own account can read
  # it, and may do that to itself anyway.
  renewal = unit: "/run/${unit}/renewal";
  renewer = "user slipway-renewal on #@renewal.sha256@ nocommands +config|set";
  newRenewal = pkgs.writeShellScript "slipway-redis-new-renewal" ''
    set -euo pipefail
    umask 077
    head -c 32 /dev/urandom | sha256sum | cut -d " " -f 1 > "$1.new"
    chown "$2" "$1.new"
    mv "$1.new" "$1"
  '';
  renew = shellApplication {
    name = "slipway-redis-renew";
    runtimeInputs = [
      pkgs.coreutils
      package
    ];
    text = builtins.readFile ./redis-renew.sh;
  };
  usersFile = name: lines: pkgs.writeText name (redis.lines lines);

  serverUnit =
    name: stack:
    let
      unit = unitOf name;
      group = groups.${name};
      account = config.services.redis.servers.${name}.user;
      arguments =
        redis.prepare.server {
          inherit group members member;
          tls = cluster.of account;
          state = "/var/lib/${unit}/redis.conf";
        }
        ++ [
          # What nixpkgs' unit has just written.
          "--rendered=/run/${unit}/nixos.conf"
          "--secrets=${usersFile "${unit}-users" (redis.serverSecrets group ++ [ renewer ])}"
          "--secret=renewal=${renewal unit}"
          "--secret=stack=${stack.cache.passwordFile}"
          "--secret=cluster=${credential unit "cluster"}"
          "--owner=${account}:${account}"
        ];
    in
    {
      wants = [
        "network-online.target"
        certificateUnit
      ];
      after = [
        "network-online.target"
        certificateUnit
      ];
      serviceConfig = {
        ExecStartPre = lib.mkAfter [
          "+${newRenewal} ${renewal unit} ${account}"
          "+${prepared arguments}"
        ];
        ExecReload = lib.escapeShellArgs [
          (lib.getExe renew)
          name
          stack.cache.address
          (renewal unit)
          (cluster.of account).authority
          (cluster.of account).certificate
          (cluster.of account).key
        ];
        LoadCredential = shared;
        # Sooner, and it would be back as a primary without data before the Sentinels have another one.
        RestartSec = redis.timings.restartSeconds;
        IPAddressAllow = cluster.clients;
      };
    };

  sentinelFolder = "/var/lib/${account}";
  sentinelSettings = pkgs.writeText "sentinel.conf" (
    redis.text (
      redis.sentinel {
        inherit member members;
        groups = allGroups;
        tls = cluster.of account;
        folder = sentinelFolder;
      }
      // {
        # For the exporter on this host.
        unixsocket = "/run/${account}/sentinel.sock";
        unixsocketperm = 660;
      }
    )
  );
  sentinelArguments =
    redis.prepare.sentinel {
      inherit members;
      groups = allGroups;
      state = "${sentinelFolder}/sentinel.conf";
    }
    ++ [
      "--rendered=${sentinelSettings}"
      "--secrets=${usersFile "sentinel-users" (redis.sentinelSecrets allGroups)}"
      "--secret=cluster=${credential account "cluster"}"
    ]
    ++ map (name: "--secret=${name}=${credential account "stack-${name}"}") (lib.attrNames stacks);

  sentinelUnit = {
    description = "Sentinel of the cluster ${cfg.name}";
    wantedBy = [ "multi-user.target" ];
    wants = [
      "network-online.target"
      certificateUnit
    ];
    after = [
      "network-online.target"
      certificateUnit
    ];
    unitConfig.StartLimitIntervalSec = 0;
    serviceConfig = hardening { addresses = cluster.clients; } // {
      ExecStartPre = prepared sentinelArguments;
      ExecStart = "${package}/bin/redis-server ${sentinelFolder}/sentinel.conf --sentinel";
      User = account;
      Group = account;
      StateDirectory = account;
      StateDirectoryMode = "0700";
      RuntimeDirectory = account;
      RuntimeDirectoryMode = "0750";
      LoadCredential =
        shared
        ++ lib.mapAttrsToList (name: stack: "stack-${name}:${toString stack.cache.passwordFile}") stacks;
      Restart = "always";
      RestartSec = 1;
      RestartSteps = 5;
      RestartMaxDelaySec = 15;
      MemoryMax = "128M";
    };
  };

  # Those of Postgres: the hook runs before the system that it comes with, and an earlier one gives Sentinel none.
  files = cluster.of cluster.accounts.postgres;
  stepAside = shellApplication {
    name = "slipway-redis-step-aside";
    runtimeInputs = [
      pkgs.coreutils
      pkgs.gnugrep
      package
    ];
    runtimeEnv = {
      ADDRESS = member.address;
      PORT = toString cfg.redis.sentinelPort;
      # Its own Sentinel first.
      SENTINELS = toString (lib.unique ([ member.address ] ++ cluster.addresses));
      REDIS_GROUPS = toString (lib.attrNames groups);
      AUTHORITY = files.authority;
      CERTIFICATE = files.certificate;
      KEY = files.key;
      PASSWORD_FILE = toString cfg.redis.passwordFile;
    };
    text = ''
      . ${./restarts.sh}
    ''
    + builtins.readFile ./redis-step-aside.sh;
  };
in
{
  config = lib.mkIf serving {
    services.redis.servers = lib.mapAttrs (
      name: group:
      let
        settings = redis.server {
          inherit group member;
          tls = cluster.of (cluster.redisAccount name);
        };
      in
      {
        inherit (settings) bind;
        settings = removeAttrs settings [
          "bind"
          "port"
        ];
      }
    ) groups;
    users.users.${account} = {
      isSystemUser = true;
      group = account;
      description = "Watches who is the primary of each Redis";
    };
    users.groups.${account} = { };
    systemd.services =
      lib.mapAttrs' (name: stack: lib.nameValuePair (unitOf name) (serverUnit name stack)) stacks
      // {
        ${account} = sentinelUnit;
      };
    services.slipway = lib.optionalAttrs (options.services.slipway ? agent) {
      agent = lib.optionalAttrs (options.services.slipway.agent ? hooks) {
        hooks.slipway-cluster-redis-step-aside = {
          when = "before_activate";
          command = [ (lib.getExe stepAside) ];
          timeoutSeconds = 60;
          # Nothing in it is needed.
          onFailure = "continue";
        };
      };
    };
  };
}
