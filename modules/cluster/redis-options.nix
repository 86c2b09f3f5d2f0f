# Whether the stacks' Redis is the cluster's. modules/stack/cache-cluster.nix has what is said of each stack.
{
  config,
  lib,
  ...
}:
let
  inherit (lib) mkOption types;
  cluster = import ./lib.nix { inherit config lib; };
  inherit (cluster) cfg;
  contract = import ../../nix/contract.nix;
  externalPath = import ../../nix/lib/external-path.nix { inherit lib; };
  used = cluster.enable && cfg.redis.enable;
in
{
  options.services.slipway = {
    cluster.redis = {
      enable = mkOption {
        type = types.bool;
        default = false;
        example = true;
        description = "Whether stacks' Redis has replicas on the members, with a Sentinel on each. The same on every host.";
      };
      passwordFile = mkOption {
        type = types.nullOr externalPath;
        default = null;
        example = "/run/agenix/cluster-redis";
        description = ''
          A file outside the Nix store with the password that Redis and the Sentinels use among themselves, one word on one
          line. It is the same on all members.
        '';
      };
      sentinelPort = mkOption {
        type = types.port;
        default = contract.ports.sentinel;
        example = contract.ports.sentinel + 1;
        description = "The port of the Sentinels, on the members' addresses, for TLS only.";
      };
    };
  };

  config.assertions =
    let
      stacks = cluster.redis;
      option = name: what: "services.slipway.stacks.${name}.cache.${what}";
      ports = lib.filterAttrs (_: names: lib.length names > 1) (
        lib.groupBy (name: toString stacks.${name}.cache.network.port) (lib.attrNames stacks)
      );
    in
    lib.optionals (used && cluster.member) (
      [
        {
          assertion = stacks == { } || cfg.redis.passwordFile != null;
          message = "services.slipway.cluster.redis.passwordFile is not set: give all members one file with the same content, such as of openssl rand -hex 32.";
        }
        {
          assertion = ports == { };
          message = "${
            lib.concatStringsSep "; " (
              lib.mapAttrsToList (
                port: names:
                "${lib.concatMapStringsSep " and " (name: option name "network.port") names} are both ${port}"
              ) ports
            )
          }: give each stack its own, on every member the same.";
        }
      ]
      ++ lib.concatLists (
        lib.mapAttrsToList (name: stack: [
          {
            assertion = stack.cache.enable;
            message = "${option name "enable"} is false and ${option name "cluster"} is true: set ${option name "cluster"} = false for a stack without Redis.";
          }
          {
            assertion =
              stack.cache.passwordFile == null || !lib.hasPrefix "/run/slipway-cache/" stack.cache.passwordFile;
            message = "${option name "passwordFile"} is made on this host, so no other knows it: give all hosts of the stack one with the same content.";
          }
          {
            assertion = stack.cache.network.listenAddress == null;
            message = "${option name "network.listenAddress"} is set, and Redis of the cluster listens on the member's own address: leave it out.";
          }
        ]) stacks
      )
    );
}
